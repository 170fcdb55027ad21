//! A compacted topic of many keys that are updated again and again: the latest of each is left, where it was written.
//!
//! Before it is read the brokers are killed: what is read then is what is in the store.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use weir_test_support::wait::{Deadline, Stopwatch};

use super::Report;
use super::costs::{Costs, gib};
use super::site::Site;
use crate::cluster::Setting;
use crate::load::Pipeline;
use crate::table::mib;

const TOPIC: &str = "compacted";
/// What brokers show of what compaction has written.
const COMPACTED: &str = "weir_broker_compacted_bytes_total";
/// How long a reader may be stuck.
const STUCK: Duration = Duration::from_secs(180);
/// Records of a batch.
const BATCH: u64 = 5_000;

/// Such a run.
#[derive(Clone, Copy, Debug)]
pub struct Compaction {
    /// How many keys.
    pub keys: u64,
    /// How often each is written.
    pub updates: u64,
    /// Bytes of a value at least.
    pub value_bytes: usize,
    /// Partitions; each has its share of the keys.
    pub partitions: i32,
    /// How many brokers there are.
    pub brokers: u32,
    /// For how long nothing may have been compacted before that counts as the end of it.
    pub still: Duration,
    /// What the brokers are told that it may take of memory; to be shown.
    pub setting_bytes: u64,
}

/// What a reader found.
struct Found {
    records: u64,
    /// Keys that have their latest value.
    latest: u64,
    /// Records below the last that was written of each partition: what is older than the last pass.
    superseded: u64,
    violations: Vec<String>,
}

impl Compaction {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let mut report = Report::default();
        let mut site = Site::start(setting, self.brokers)?;
        let configs = [
            ("cleanup.policy", "compact"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("segment.ms", "1000"),
        ];
        site.admin()?.create_topic_with(TOPIC, self.partitions, &configs)?;
        let idle = self.peaks(&site)?;
        let (before, watch) = (Costs::now(&site)?, Stopwatch::start());
        self.write(site.address())?;
        let writing = Costs::since(&site, &before)?;
        let bytes = site.stored_bytes()?;
        report.say(format!(
            "{} keys, {} times each, {} partitions: written in {:.0?}, {:.2} GiB in the store; {writing}",
            self.keys,
            self.updates,
            self.partitions,
            watch.elapsed(),
            gib(bytes),
        ));
        let written = self.peaks(&site)?;
        let before = Costs::now(&site)?;
        let compacted = site.until_still("compaction", self.still, |site| site.sum(COMPACTED))?;
        let (at_rest, peaks) = (Costs::since(&site, &before)?, self.peaks(&site)?);
        // What was written last would come out of the brokers' memory, where nothing is compacted.
        site.kill_brokers(self.partitions)?;
        let found = self.read(&site)?;
        report.say(format!(
            "at rest {:.0?} later, {:.3} GiB written by compaction; brokers took {:.0?} of CPU; memory peaks: {idle}, \
             when written {written}, in the end {peaks}, with {} for keys; left: {} records, {} of them superseded, {:.3} GiB in \
             the store",
            at_rest.time.saturating_sub(self.still),
            gib(compacted),
            at_rest.brokers,
            mib(self.setting_bytes),
            found.records,
            found.superseded,
            gib(site.stored_bytes()?),
        ));
        let share = self.keys / u64::try_from(self.partitions)? * u64::try_from(self.partitions)?;
        report.judge(found.violations);
        if found.latest != share {
            report.judge([format!("{} of {share} keys have their latest value", found.latest)]);
        }
        Ok(report)
    }

    fn peaks(&self, site: &Site) -> Result<String> {
        let usage = site.cluster.usage(&site.brokers)?;
        let peaks: Vec<String> = usage.iter().map(|it| mib(it.peak_rss_bytes)).collect();
        Ok(peaks.join(" and "))
    }

    fn keys_a_partition(&self) -> Result<u64> {
        Ok(self.keys / u64::try_from(self.partitions)?)
    }

    /// Writes every key once, in another order each time; record `n` of a partition says that it is that.
    fn write(&self, server: SocketAddr) -> Result<()> {
        let keys = self.keys_a_partition()?;
        let mut writer = Pipeline::new(server, TOPIC, self.partitions)?;
        let (all, mut shown) = (keys * self.updates, Deadline::after(Duration::from_secs(10)));
        let mut number = 0;
        while number < all {
            let count = BATCH.min(all - number);
            for partition in 0..self.partitions {
                let records = (number..number + count)
                    .map(|number| (Some(key(self.key_of(number, keys))), self.value(number)));
                writer.send(partition, records, Duration::ZERO)?;
            }
            number += count;
            if shown.has_passed() {
                eprintln!("{number} of {all} records written to each partition");
                shown = Deadline::after(Duration::from_secs(10));
            }
        }
        writer.finish().map(drop)
    }

    /// Which key record `number` of a partition has: each once in `keys` records.
    fn key_of(&self, number: u64, keys: u64) -> u64 {
        let (round, place) = (number / keys, number % keys);
        // Every round begins elsewhere, so that a key's records lie apart by more and by less.
        (place + round * (keys / 3 + 1)) % keys
    }

    fn value(&self, number: u64) -> Bytes {
        let mut value = format!("{number:>12}").into_bytes();
        value.resize(self.value_bytes.max(value.len()), b'.');
        value.into()
    }

    /// Reads everything with librdkafka, and looks at each record.
    fn read(&self, site: &Site) -> Result<Found> {
        let ends = site.admin()?.end_offsets(TOPIC, self.partitions)?;
        let keys = self.keys_a_partition()?;
        let expected = i64::try_from(keys * self.updates)?;
        ensure!(ends.iter().all(|end| *end == expected), "logs end at {ends:?}, not at {expected}");
        let consumer = consumer(&site.cluster.bootstrap(), self.partitions)?;
        let mut found = Found { records: 0, latest: 0, superseded: 0, violations: Vec::new() };
        let mut next = vec![0; ends.len()];
        let mut seen = vec![vec![false; usize::try_from(keys)?]; ends.len()];
        let mut patience = Deadline::after(STUCK);
        // Nothing is behind the last record, so it is always left.
        while next.iter().any(|next| *next < expected) {
            let message = match consumer.poll(Duration::from_millis(100)) {
                Some(message) => message.context("a compacted topic can't be read")?,
                None if patience.has_passed() => bail!("reading stopped at {next:?} of {expected}"),
                None => continue,
            };
            patience = Deadline::after(STUCK);
            let partition = usize::try_from(message.partition())?;
            let offset = message.offset();
            found.records += 1;
            if offset < next[partition] {
                found
                    .violations
                    .push(format!("{partition}: {offset} came after {}", next[partition]));
            }
            next[partition] = offset + 1;
            let number = u64::try_from(offset)?;
            let wanted = self.key_of(number, keys);
            let same = message.key() == Some(&key(wanted)[..])
                && message.payload() == Some(&self.value(number)[..]);
            if !same {
                found.violations.push(format!("{partition}/{offset} is not what was written"));
            }
            if number >= keys * (self.updates - 1) {
                let place = &mut seen[partition][usize::try_from(wanted)?];
                found.latest += u64::from(!*place);
                *place = true;
            } else {
                found.superseded += 1;
            }
        }
        Ok(found)
    }
}

fn key(number: u64) -> Bytes {
    format!("key-{number:010}").into()
}

/// A consumer of all partitions from the beginning, outside any group.
fn consumer(bootstrap: &str, partitions: i32) -> Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", "unused");
    config.set("enable.auto.commit", "false").set("auto.offset.reset", "error");
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(TOPIC, partition, Offset::Offset(0))?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}
