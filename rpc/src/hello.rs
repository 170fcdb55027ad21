//! Saying who one is, and what time it is.

use std::time::Duration;

use tonic::{Request, Response, Status};
use weir_ids::{NodeId, Timestamp};
use weir_runtime::Runtime;

use crate::Identity;

#[allow(missing_docs, clippy::pedantic, unreachable_pub, reason = "generated")]
mod wire {
    tonic::include_proto!("weir.hello.v1");
}

pub(crate) use wire::{Greeting, hello_client::HelloClient, hello_server::HelloServer};

/// How far clocks may be apart before somebody is told. No safety rests on clocks; what clients call the time
/// of a record, how long records are kept, and the signatures that some stores want do.
const APART_MAX: Duration = Duration::from_secs(10);

/// Answers who we are, to nodes of this cluster.
pub(crate) struct Greeter {
    pub(crate) own: Identity,
    pub(crate) runtime: Runtime,
}

#[tonic::async_trait]
impl wire::hello_server::Hello for Greeter {
    async fn greet(&self, from: Request<Greeting>) -> Result<Response<Greeting>, Status> {
        let (from, here) = (from.into_inner(), &self.own.cluster);
        if from.cluster != *here {
            let (node, there) = (from.node, from.cluster);
            tracing::warn!(node, there, here, "a node of another cluster is turned away");
            let why = format!("this node belongs to cluster {here}, not to {there:?}");
            return Err(Status::failed_precondition(why));
        }
        Ok(Response::new(greeting(&self.own, &self.runtime)))
    }
}

/// What `own` says.
pub(crate) fn greeting(own: &Identity, runtime: &Runtime) -> Greeting {
    let Timestamp(time_ms) = runtime.now();
    Greeting { cluster: own.cluster.clone(), node: own.node.0, time_ms }
}

/// By how many milliseconds the clock of who says `time_ms` is ahead of ours, or behind it if that is negative;
/// `None` if it may well be right. It was said between the two times.
pub(crate) fn is_off(time_ms: i64, asked: Timestamp, told: Timestamp) -> Option<i64> {
    let most = APART_MAX.as_millis() as i64;
    let off = match time_ms {
        0 => return None,
        early if early < asked.0 => early.saturating_sub(asked.0),
        late if late > told.0 => late.saturating_sub(told.0),
        _ => 0,
    };
    (off.saturating_abs() > most).then_some(off)
}

impl From<Greeting> for Identity {
    fn from(greeting: Greeting) -> Self {
        Self { cluster: greeting.cluster, node: NodeId(greeting.node) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_are_far_apart_are_told() {
        let (asked, told) = (Timestamp(1_000_000), Timestamp(1_000_500));
        let off = |time_ms| is_off(time_ms, asked, told);
        assert_eq!([off(1_000_000), off(1_000_500), off(990_000), off(1_010_500)], [None; 4]);
        assert_eq!([off(989_999), off(1_010_501)], [Some(-10_001), Some(10_001)]);
        let hour = 3_600_000;
        assert_eq!(is_off(1_000_000 + hour, asked, told), Some(hour - 500));
        assert_eq!(off(0), None, "it does not say");
        assert!(off(i64::MIN).is_some() && off(i64::MAX).is_some());
    }
}
