use weir_ids::{PartitionIndex, TopicId};

use super::*;

const MIB: u64 = 1 << 20;

fn id(number: u32) -> TopicPartition {
    TopicPartition::new(TopicId::NIL, PartitionIndex(number))
}

/// Brokers whose partitions have to do what they have to, and who report that.
struct Rig {
    balance: Balance,
    nodes: BTreeSet<NodeId>,
    /// By number: where a partition is, and bytes a second.
    partitions: Vec<(NodeId, u64)>,
    now: Instant,
    moves: usize,
}

impl Rig {
    /// Partitions over three nodes in turn.
    fn new(loads: impl IntoIterator<Item = u64>) -> Self {
        let nodes: Vec<NodeId> = (1..=3).map(NodeId).collect();
        let partitions = nodes.iter().copied().cycle().zip(loads).collect();
        let (balance, now) = (Balance::default(), Instant::now());
        Self { balance, nodes: nodes.into_iter().collect(), partitions, now, moves: 0 }
    }

    fn load(&self, node: NodeId) -> u64 {
        self.partitions.iter().filter(|(at, _)| *at == node).map(|(_, load)| load).sum()
    }

    fn most(&self) -> u64 {
        self.nodes.iter().map(|node| self.load(*node)).max().unwrap()
    }

    /// Everybody reports, again and again for so long, and what should move does.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            for node in self.nodes.clone() {
                let theirs = (0..).zip(&self.partitions).filter(|(_, (at, _))| *at == node);
                let partitions = theirs.map(|(number, (_, load))| (id(number), *load)).collect();
                let bytes_per_second = self.load(node);
                self.balance.report(LoadReport { node, bytes_per_second, partitions }, self.now);
            }
            let partitions = self.partitions.clone();
            let assigned = |id: TopicPartition| Some(partitions.get(id.partition.0 as usize)?.0);
            for Move { partition, from, to } in self.balance.judge(self.now, &self.nodes, assigned)
            {
                let place = &mut self.partitions[partition.partition.0 as usize].0;
                assert_eq!(*place, from);
                *place = to;
                self.moves += 1;
            }
            self.now += LOAD_REPORT_EVERY;
        }
    }
}

#[test]
fn what_is_about_even_stays() {
    let mut rig = Rig::new((0..30).map(|number| MIB * (10 + number % 3)));
    rig.run(QUIET * 20);
    assert_eq!(rig.moves, 0);
}

#[test]
fn little_load_is_not_worth_a_move() {
    let mut rig = Rig::new((0..30).map(|number| if number % 3 == 0 { 50_000 } else { 100 }));
    rig.run(QUIET * 20);
    assert_eq!(rig.moves, 0);
}

#[test]
fn a_skew_must_last() {
    let mut rig = Rig::new((0..30).map(|number| MIB * if number % 3 == 0 { 10 } else { 1 }));
    rig.run(LASTING);
    assert_eq!(rig.moves, 0);
    rig.run(LOAD_REPORT_EVERY * 2);
    assert_ne!(rig.moves, 0);
}

#[test]
fn a_partition_with_half_of_all_load_is_put_up_with_after_three_moves_at_most() {
    for count in [4, 6, 12, 30, 300, 1_000] {
        let rest = 120 * MIB / (count - 1);
        let mut rig = Rig::new((0..count).map(|number| if number == 0 { 120 * MIB } else { rest }));
        let before = rig.most();
        rig.run(QUIET * 60);
        assert!(rig.moves <= 3, "{count} partitions: {} moves", rig.moves);
        assert!(rig.most() <= before);
    }
}

#[test]
fn busy_partitions_part() {
    // Both on the first node.
    let mut rig = Rig::new((0..30).map(|number| MIB * if number % 15 == 0 { 60 } else { 1 }));
    rig.run(QUIET * 10);
    assert_eq!(rig.moves, 1);
    assert!(rig.most() < 80 * MIB, "{}", rig.most());
}

#[test]
fn many_partitions_that_are_busier_than_others_spread() {
    let mut rig = Rig::new((0..300).map(|number| MIB * if number % 3 == 0 { 4 } else { 1 }));
    let mean = (100 * 4 + 200) * MIB / 3;
    rig.run(QUIET * 30);
    assert!(rig.most() as f64 <= mean as f64 * (1.0 + SKEW), "{} of {mean}", rig.most());
    let moves = rig.moves;
    rig.run(REST * 2);
    assert_eq!(rig.moves, moves, "and then nothing moves");
}

#[test]
fn who_has_not_reported_is_not_judged() {
    let mut rig = Rig::new((0..30).map(|number| MIB * if number % 3 == 0 { 10 } else { 1 }));
    rig.nodes.insert(NodeId(4));
    let report = |node| LoadReport { node, bytes_per_second: 0, partitions: Vec::new() };
    for _ in 0..20 {
        for node in 1..=3 {
            let node = NodeId(node);
            let bytes_per_second = rig.load(node);
            rig.balance.report(LoadReport { bytes_per_second, ..report(node) }, rig.now);
        }
        assert_eq!(rig.balance.judge(rig.now, &rig.nodes, |_| None), []);
        rig.now += LOAD_REPORT_EVERY;
    }
}
