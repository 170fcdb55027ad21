//! Telling the controller what this broker has to do.

use tokio::time::{Instant, sleep};
use weir_ids::{NodeId, TopicPartition};
use weir_meta::controller::{Controller, LOAD_REPORT_EVERY, LoadReport};
use weir_runtime::Stop;

use crate::{Broker, BrokerRole};

/// How many partitions a report names at most, the busiest.
const NAMED_MAX: usize = 256;
/// What a partition must have to do to be named: this part of all.
const NAMED_PART: u64 = 2_000;

impl BrokerRole {
    /// Reports what this broker has to do, again and again until `stop`.
    pub async fn report_load(&self, controller: &dyn Controller, stop: Stop) {
        let mut since = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = sleep(LOAD_REPORT_EVERY) => {}
            }
            let Some(broker) = self.present() else { continue };
            let passed = broker.passed().await;
            let seconds = since.elapsed().as_secs_f64();
            since = Instant::now();
            let report = report(self.node(), passed, seconds);
            tokio::select! {
                biased;
                () = stop.requested() => return,
                // One that is lost is followed by another.
                told = controller.report_load(report) => drop(told),
            }
        }
    }
}

impl Broker {
    /// Bytes of records that went in and out of partitions since this was last asked.
    async fn passed(&self) -> Vec<(TopicPartition, u64)> {
        let mut all = Vec::new();
        for shard in &**self.shards() {
            all.extend(shard.passed().await.unwrap_or_default());
        }
        all
    }
}

fn report(node: NodeId, mut passed: Vec<(TopicPartition, u64)>, seconds: f64) -> LoadReport {
    let a_second = |bytes: u64| (bytes as f64 / seconds) as u64;
    let all: u64 = passed.iter().map(|(_, bytes)| bytes).sum();
    passed.retain(|(_, bytes)| *bytes > all / NAMED_PART);
    passed.sort_unstable_by_key(|(id, bytes)| (std::cmp::Reverse(*bytes), *id));
    passed.truncate(NAMED_MAX);
    let partitions = passed.into_iter().map(|(id, bytes)| (id, a_second(bytes))).collect();
    LoadReport { node, bytes_per_second: a_second(all), partitions }
}

#[cfg(test)]
mod tests {
    use weir_segment_store::testing::partition;

    use super::*;

    #[test]
    fn the_busiest_are_named() {
        let many = (0..1_000).map(|number| (partition(number), u64::from(number) * 10));
        let LoadReport { bytes_per_second, partitions, .. } =
            report(NodeId(1), many.collect(), 10.0);
        assert_eq!(bytes_per_second, 999 * 500);
        assert_eq!((partitions.len(), partitions[0]), (NAMED_MAX, (partition(999), 999)));

        let idle = vec![(partition(0), 1_000_000), (partition(1), 10)];
        assert_eq!(report(NodeId(1), idle, 1.0).partitions, [(partition(0), 1_000_000)]);
        assert_eq!(report(NodeId(1), Vec::new(), 1.0).partitions, []);
    }
}
