//! Evening out what nodes have to do, where counting partitions is not enough. Pure: it is told what brokers
//! report and when, and decides.
//!
//! A node is *skewed* when the busiest one has a quarter more to do than the mean, and more than had to be put
//! up with before. When that lasts, a few partitions move from the busiest node to the idlest, those that help
//! most. Where one partition is half of all that its node does no others need go with it but three: what can't
//! be parted is put up with, until it gets worse.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use weir_ids::{NodeId, TopicPartition};

use super::placement::Move;

/// How often brokers report.
pub const LOAD_REPORT_EVERY: Duration = Duration::from_secs(10);

/// How long a report counts.
const FRESH: Duration = LOAD_REPORT_EVERY.saturating_mul(3);
/// How long a skew must last.
const LASTING: Duration = Duration::from_secs(25);
/// How long nothing moves after something has.
const QUIET: Duration = Duration::from_secs(60);
/// How long a partition that has moved stays where it is.
const REST: Duration = Duration::from_secs(600);
/// Bytes a second of a node that are not worth a move.
const TRIFLE: f64 = (1 << 20) as f64;
/// How much more than the mean is a skew.
const SKEW: f64 = 0.25;
/// What a move must gain at least, as a part of the mean; more where one partition is most of the load.
const GAIN: f64 = 0.02;
const GAIN_BESIDE: f64 = 0.05;
/// How many move together where one partition is most of a node's load, and in any case.
const FEW: usize = 3;
/// The part of a node's partitions that moves together otherwise.
const PART: usize = 20;

/// What a broker has to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LoadReport {
    /// Its node.
    pub node: NodeId,
    /// Bytes of records in and out a second, of all its partitions.
    pub bytes_per_second: u64,
    /// The busiest of them, and their part of that.
    pub partitions: Vec<(TopicPartition, u64)>,
}

/// What is known of the brokers' load, and what was done about it.
#[derive(Default)]
pub(super) struct Balance {
    reports: BTreeMap<NodeId, (Instant, LoadReport)>,
    skewed_since: Option<Instant>,
    /// By how much more than the mean the busiest node had to do, after all that could be done.
    put_up_with: f64,
    moved: BTreeMap<TopicPartition, Instant>,
    quiet_until: Option<Instant>,
}

impl Balance {
    /// Takes in a report.
    pub(super) fn report(&mut self, report: LoadReport, at: Instant) {
        self.reports.insert(report.node, (at, report));
    }

    /// Partitions have moved for another reason: what was put up with may not be necessary any more.
    pub(super) fn reset(&mut self) {
        (self.skewed_since, self.put_up_with) = (None, 0.0);
    }

    /// What partitions have to do, as far as that is known.
    pub(super) fn weights(&self) -> BTreeMap<TopicPartition, u64> {
        let reports = self.reports.values();
        reports.flat_map(|(_, report)| report.partitions.iter().copied()).collect()
    }

    /// What should move now. `assigned` tells where a partition is to be.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        ready: &BTreeSet<NodeId>,
        assigned: impl Fn(TopicPartition) -> Option<NodeId>,
    ) -> Vec<Move> {
        self.reports.retain(|node, (at, _)| ready.contains(node) && now - *at < FRESH);
        self.moved.retain(|_, at| now - *at < REST);
        let Some(loads) = self.loads(ready) else { return Vec::new() };
        let skew = skew(&loads);
        self.put_up_with = self.put_up_with.min(skew);
        if skew <= self.put_up_with + SKEW || busiest(&loads).1 < TRIFLE {
            self.skewed_since = None;
            return Vec::new();
        }
        let since = *self.skewed_since.get_or_insert(now);
        if now - since < LASTING || self.quiet_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        let moves = self.moves(loads, assigned);
        self.skewed_since = None;
        self.quiet_until = Some(now + QUIET);
        self.moved.extend(moves.iter().map(|one| (one.partition, now)));
        moves
    }

    /// What each node does; `None` if one of them has not said.
    fn loads(&self, ready: &BTreeSet<NodeId>) -> Option<BTreeMap<NodeId, f64>> {
        let load = |node: &NodeId| Some((*node, self.reports.get(node)?.1.bytes_per_second as f64));
        ready
            .iter()
            .map(load)
            .collect::<Option<_>>()
            .filter(|loads: &BTreeMap<_, _>| loads.len() > 1)
    }

    fn moves(
        &mut self,
        mut loads: BTreeMap<NodeId, f64>,
        assigned: impl Fn(TopicPartition) -> Option<NodeId>,
    ) -> Vec<Move> {
        let mean = mean(&loads);
        let mut places = Places::new();
        for (node, (_, report)) in &self.reports {
            let theirs = report.partitions.iter().filter(|(id, _)| assigned(*id) == Some(*node));
            places.extend(theirs.map(|(id, load)| (*id, (*node, *load as f64))));
        }
        let (first, most) = busiest(&loads);
        let one_is_most = has_one_that_is_most(&places, first, most);
        let count = places.values().filter(|(node, _)| *node == first).count();
        let together = if one_is_most { FEW } else { FEW.max(count / PART) };
        let mut moves: Vec<Move> = Vec::new();
        while moves.len() < together {
            let ((from, most), (to, least)) = (busiest(&loads), idlest(&loads));
            let beside = has_one_that_is_most(&places, from, most);
            let enough = mean * if beside { GAIN_BESIDE } else { GAIN };
            let after = |load: f64| (most - load).max(least + load);
            let here = places.iter().filter(|(_, (node, _))| *node == from);
            let may = here.filter(|(id, _)| !self.moved.contains_key(id));
            let best =
                may.min_by(|(_, (_, one)), (_, (_, other))| after(*one).total_cmp(&after(*other)));
            let Some((id, (_, load))) = best else { break };
            let (partition, load) = (*id, *load);
            if most - after(load) < enough {
                break;
            }
            places.insert(partition, (to, load));
            *loads.entry(from).or_default() -= load;
            *loads.entry(to).or_default() += load;
            moves.push(Move { partition, from, to });
        }
        if one_is_most || moves.is_empty() {
            self.put_up_with = skew(&loads);
        }
        moves
    }
}

/// Where partitions are, and what they have to do.
type Places = BTreeMap<TopicPartition, (NodeId, f64)>;

/// Whether one partition of `node` is half of the load there, or more.
fn has_one_that_is_most(places: &Places, node: NodeId, load: f64) -> bool {
    places.values().any(|(at, partition)| *at == node && *partition >= load / 2.0)
}

fn mean(loads: &BTreeMap<NodeId, f64>) -> f64 {
    loads.values().sum::<f64>() / loads.len() as f64
}

/// By how much more than the mean the busiest has to do.
fn skew(loads: &BTreeMap<NodeId, f64>) -> f64 {
    let mean = mean(loads);
    if mean > 0.0 { busiest(loads).1 / mean - 1.0 } else { 0.0 }
}

fn busiest(loads: &BTreeMap<NodeId, f64>) -> (NodeId, f64) {
    let most = loads.iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
    most.map_or((NodeId(0), 0.0), |(node, load)| (*node, *load))
}

fn idlest(loads: &BTreeMap<NodeId, f64>) -> (NodeId, f64) {
    let least = loads.iter().min_by(|(_, one), (_, other)| one.total_cmp(other));
    least.map_or((NodeId(0), 0.0), |(node, load)| (*node, *load))
}

#[cfg(test)]
mod tests;
