//! Which node should own which partition. Pure, and the same for the same input.
//!
//! New partitions of a topic are spread evenly over the nodes, the rest going where least is. Moves
//! even out the nodes' totals, to within one partition, and are as few as that allows: only what
//! has no node left and what is above a node's share moves.

use std::collections::{BTreeMap, BTreeSet};

use weir_ids::{NodeId, PartitionIndex, TopicId, TopicPartition};

/// A partition that should change its node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// Which.
    pub partition: TopicPartition,
    /// Where it should be now.
    pub from: NodeId,
    /// Where it should be.
    pub to: NodeId,
}

/// Nodes for `count` new partitions of a topic whose other partitions are at `existing`. `loads`
/// has every eligible node with what it has in all, and is brought up to date; `zones` tells where nodes are.
/// Empty if there is no node.
pub fn place(
    loads: &mut BTreeMap<NodeId, u64>,
    zones: &BTreeMap<NodeId, String>,
    existing: &[NodeId],
    count: u32,
) -> Vec<NodeId> {
    let zone = |node: &NodeId| zones.get(node).map_or("", String::as_str);
    let (mut of_topic, mut in_zone) =
        (BTreeMap::<NodeId, u64>::new(), BTreeMap::<&str, u64>::new());
    for node in existing {
        *of_topic.entry(*node).or_default() += 1;
        *in_zone.entry(zone(node)).or_default() += 1;
    }
    let mut placed = Vec::new();
    for _ in 0..count {
        // By what a node has of this topic, then by what it has in all, then by what its zone has of the topic.
        let order = |(node, load): &(&NodeId, &mut u64)| {
            let of_topic = of_topic.get(*node).copied().unwrap_or(0);
            (of_topic, **load, in_zone.get(zone(node)).copied().unwrap_or(0), **node)
        };
        let Some((node, load)) = loads.iter_mut().min_by_key(order) else { return placed };
        *load += 1;
        *of_topic.entry(*node).or_default() += 1;
        *in_zone.entry(zone(node)).or_default() += 1;
        placed.push(*node);
    }
    placed
}

/// What each of `nodes` has in `assignments`.
pub fn loads<'a>(
    nodes: impl IntoIterator<Item = NodeId>,
    assignments: impl IntoIterator<Item = &'a [NodeId]>,
) -> BTreeMap<NodeId, u64> {
    let mut loads: BTreeMap<NodeId, u64> = nodes.into_iter().map(|node| (node, 0)).collect();
    for node in assignments.into_iter().flatten() {
        if let Some(load) = loads.get_mut(node) {
            *load += 1;
        }
    }
    loads
}

/// Whether `nodes` have about as many partitions each: within a fifth of a share.
pub fn is_about_even(assignments: &[(TopicId, &[NodeId])], nodes: &BTreeSet<NodeId>) -> bool {
    let current = loads(nodes.iter().copied(), assignments.iter().map(|(_, nodes)| *nodes));
    let (least, most) = (current.values().min(), current.values().max());
    let (least, most) = (least.copied().unwrap_or(0), most.copied().unwrap_or(0));
    most - least <= (most / 5).max(1)
}

/// The moves that even out `assignments` over `nodes`. None without nodes. What the nodes `awaited`
/// have stays there, and counts nowhere. `weights` tells what partitions have to do, of those that have much:
/// they move last, and to where least is to be done.
pub fn rebalance(
    assignments: &[(TopicId, &[NodeId])],
    nodes: &BTreeSet<NodeId>,
    awaited: &BTreeSet<NodeId>,
    weights: &BTreeMap<TopicPartition, u64>,
) -> Vec<Move> {
    let current = loads(nodes.iter().copied(), assignments.iter().map(|(_, nodes)| *nodes));
    let assigned = assignments.iter().flat_map(|(_, nodes)| *nodes);
    let partitions = assigned.filter(|node| !awaited.contains(node)).count() as u64;
    let mut room = room(&current, partitions);
    let weight = |partition: &TopicPartition| weights.get(partition).copied().unwrap_or(0);
    let mut all: Vec<(TopicPartition, NodeId)> = Vec::new();
    for (topic, nodes) in assignments {
        let numbered = (0..).map(PartitionIndex).zip(*nodes);
        all.extend(numbered.map(|(it, node)| (TopicPartition::new(*topic, it), *node)));
    }
    all.sort_by_key(|(partition, _)| weight(partition));
    let mut leaving = Vec::new();
    for (partition, from) in &all {
        if awaited.contains(from) || room.get(from).is_some_and(|room| *room >= 0) {
            continue;
        }
        if let Some(room) = room.get_mut(from) {
            *room += 1;
        }
        leaving.push((*partition, *from));
    }
    let mut heavy: BTreeMap<NodeId, u64> = BTreeMap::new();
    let gone: BTreeSet<TopicPartition> = leaving.iter().map(|(partition, _)| *partition).collect();
    for (partition, node) in all.iter().filter(|(partition, _)| !gone.contains(partition)) {
        *heavy.entry(*node).or_default() += weight(partition);
    }
    let mut moves = Vec::with_capacity(leaving.len());
    for (partition, from) in leaving.into_iter().rev() {
        let Some(to) = freest(&room, &heavy) else { continue };
        *room.entry(to).or_default() -= 1;
        *heavy.entry(to).or_default() += weight(&partition);
        moves.push(Move { partition, from, to });
    }
    moves.sort_unstable_by_key(|one| one.partition);
    moves
}

/// For each node how many partitions it lacks of its share, below 0: has too many. The shares
/// differ by one at most; the larger ones go to the nodes that have most, so that less moves.
fn room(current: &BTreeMap<NodeId, u64>, partitions: u64) -> BTreeMap<NodeId, i64> {
    let nodes = current.len() as u64;
    if nodes == 0 {
        return BTreeMap::new();
    }
    let (share, rest) = (partitions / nodes, partitions % nodes);
    let mut by_load: Vec<(NodeId, u64)> =
        current.iter().map(|(node, load)| (*node, *load)).collect();
    by_load.sort_by_key(|(node, load)| (std::cmp::Reverse(*load), *node));
    let shares = (0..nodes).map(|place| share + u64::from(place < rest));
    by_load
        .into_iter()
        .zip(shares)
        .map(|((node, load), share)| (node, share as i64 - load as i64))
        .collect()
}

/// Of the nodes that have room the one that has least to do, or most room.
fn freest(room: &BTreeMap<NodeId, i64>, heavy: &BTreeMap<NodeId, u64>) -> Option<NodeId> {
    let free = room.iter().filter(|(_, room)| **room > 0);
    let load = |node: &NodeId| heavy.get(node).copied().unwrap_or(0);
    free.min_by_key(|(node, room)| (load(node), -**room, **node)).map(|(node, _)| *node)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOWHERE: BTreeMap<NodeId, String> = BTreeMap::new();
    const LIGHT: BTreeMap<TopicPartition, u64> = BTreeMap::new();

    fn spread(of: &[NodeId], nodes: u32) -> u64 {
        let loads = loads((0..nodes).map(NodeId), [of]);
        loads.values().max().unwrap() - loads.values().min().unwrap()
    }

    #[test]
    fn a_new_topic_is_spread_evenly_and_the_rest_goes_where_least_is() {
        let mut loads = BTreeMap::from([(NodeId(1), 9), (NodeId(2), 0), (NodeId(3), 4)]);
        let placed = place(&mut loads, &NOWHERE, &[], 4);
        assert_eq!(placed, [2, 3, 1, 2].map(NodeId));
        assert_eq!(loads.values().copied().collect::<Vec<_>>(), [10, 2, 5]);
        assert_eq!(place(&mut loads, &NOWHERE, &placed, 2), [3, 1].map(NodeId));
        assert_eq!(place(&mut BTreeMap::new(), &NOWHERE, &[], 2), []);
    }

    #[test]
    fn neighbours_lie_in_different_zones() {
        let mut loads = (1..=6).map(|node| (NodeId(node), 0)).collect();
        let zones = (1..=6).map(|node| (NodeId(node), format!("az-{}", (node - 1) / 2))).collect();
        assert_eq!(place(&mut loads, &zones, &[], 6), [1, 3, 5, 2, 4, 6].map(NodeId));
    }

    #[test]
    fn nothing_moves_without_a_node_or_a_reason() {
        let assigned = [1, 2, 1].map(NodeId);
        let topic = TopicId::NIL;
        let none = BTreeSet::new();
        assert_eq!(rebalance(&[(topic, &assigned)], &none, &none, &LIGHT), []);
        assert_eq!(rebalance(&[(topic, &assigned)], &[1, 2].map(NodeId).into(), &none, &LIGHT), []);
    }

    #[test]
    fn who_is_awaited_keeps_what_it_has_and_gets_nothing() {
        let assigned = [1, 2, 2, 2, 3].map(NodeId);
        let [ready, awaited] = [vec![1, 4], vec![2]]
            .map(|nodes| nodes.into_iter().map(NodeId).collect::<BTreeSet<_>>());
        let moves = rebalance(&[(TopicId::NIL, &assigned)], &ready, &awaited, &LIGHT);
        let moved: Vec<_> =
            moves.iter().map(|it| (it.partition.partition.0, it.from.0, it.to.0)).collect();
        assert_eq!(moved, [(4, 3, 4)]);
    }

    #[test]
    fn what_has_much_to_do_stays_or_goes_where_least_is() {
        let id = |number| TopicPartition::new(TopicId::NIL, PartitionIndex(number));
        let weights = BTreeMap::from([(id(0), 90), (id(2), 80), (id(4), 50)]);
        let ready = [1, 2].map(NodeId).into();
        let moved = |assigned: &[NodeId], ready: &BTreeSet<NodeId>| {
            let moves = rebalance(&[(TopicId::NIL, assigned)], ready, &BTreeSet::new(), &weights);
            moves.iter().map(|it| (it.partition.partition.0, it.to.0)).collect::<Vec<_>>()
        };
        // One of four must go: not the busy ones.
        assert_eq!(moved(&[1, 1, 1, 1].map(NodeId), &ready), [(1, 2), (3, 2)]);
        // What is orphaned is spread by what it has to do: 90 here; 80 and 50 there.
        assert_eq!(
            moved(&[9, 9, 9, 9, 9, 9].map(NodeId), &ready),
            [(0, 1), (1, 2), (2, 2), (3, 1), (4, 2), (5, 1)]
        );
    }

    fn cluster() -> impl Strategy<Value = (Vec<Vec<u32>>, u32)> {
        let topics = prop::collection::vec(prop::collection::vec(0..8_u32, 0..30), 0..12);
        (topics, 1..8_u32)
    }

    proptest! {
        #[test]
        fn placement_is_even(existing in prop::collection::vec(0..5_u32, 0..20), count in 0..60_u32) {
            let existing: Vec<NodeId> = existing.into_iter().map(NodeId).collect();
            let before = spread(&existing, 5);
            let mut loads = loads((0..5).map(NodeId), [&existing[..]]);
            let mut all = existing.clone();
            all.extend(place(&mut loads, &NOWHERE, &existing, count));
            prop_assert_eq!(all.len(), existing.len() + count as usize);
            prop_assert!(spread(&all, 5) <= before.max(1), "more even, never less");
            prop_assert!(u64::from(count) < before * 5 || spread(&all, 5) <= 1);
        }

        #[test]
        fn moves_are_even_and_few((topics, nodes) in cluster()) {
            let topics: Vec<Vec<NodeId>> =
                topics.into_iter().map(|topic| topic.into_iter().map(NodeId).collect()).collect();
            let named: Vec<(TopicId, &[NodeId])> = topics
                .iter()
                .enumerate()
                .map(|(n, nodes)| (TopicId(uuid::Uuid::from_u128(n as u128)), &nodes[..]))
                .collect();
            let alive: BTreeSet<NodeId> = (0..nodes).map(NodeId).collect();
            let moves = rebalance(&named, &alive, &BTreeSet::new(), &LIGHT);
            let mut after = topics.clone();
            for Move { partition, from, to } in &moves {
                let topic = &mut after[partition.topic.0.as_u128() as usize];
                let node = &mut topic[partition.partition.0 as usize];
                prop_assert_eq!(*node, *from);
                prop_assert!(from != to && alive.contains(to));
                *node = *to;
            }
            let all: Vec<NodeId> = after.iter().flatten().copied().collect();
            prop_assert!(all.iter().all(|node| alive.contains(node)));
            prop_assert!(spread(&all, nodes) <= 1);
            // No fewer can do: whatever is above a share that may be one larger for some.
            let before = loads(alive.iter().copied(), topics.iter().map(|topic| &topic[..]));
            let kept: u64 = room(&before, all.len() as u64)
                .iter()
                .map(|(node, room)| before[node].min((before[node] as i64 + room) as u64))
                .sum();
            prop_assert_eq!(moves.len() as u64, all.len() as u64 - kept);
            let again: Vec<(TopicId, &[NodeId])> =
                named.iter().zip(&after).map(|((id, _), nodes)| (*id, &nodes[..])).collect();
            prop_assert_eq!(rebalance(&again, &alive, &BTreeSet::new(), &LIGHT), []);
        }
    }
}
