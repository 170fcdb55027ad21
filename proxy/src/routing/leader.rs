//! Which proxy a client is told to talk to.
//!
//! Any proxy serves any partition, so "the leader" is a matter of spreading clients: the rendezvous
//! hash (Thaler and Ravishankar 1998) of the partition over the live proxies of the client's zone.
//! Each proxy computes the same answer without talking to the others, and when a proxy goes or
//! comes only its own share of the partitions moves. The hash is part of the cluster's behaviour:
//! proxies of different versions must agree, so it never changes.

use weir_ids::{NodeId, PartitionIndex, TopicId};

use crate::cluster::Proxy;

/// What is placed: a partition, or a coordinator's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Placed(u64);

impl Placed {
    pub(super) fn partition(topic: TopicId, partition: PartitionIndex) -> Self {
        let (high, low) = topic.0.as_u64_pair();
        Self(mix(mix(mix(high) ^ low) ^ u64::from(partition.0)))
    }

    pub(super) fn key(key: &str) -> Self {
        let whole = key.as_bytes().chunks(8).fold(key.len() as u64, |hash, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            mix(hash ^ u64::from_le_bytes(word))
        });
        Self(mix(whole))
    }

    fn score(self, node: NodeId) -> u64 {
        mix(self.0 ^ mix(u64::from(node.0)))
    }

    /// The proxy for a client in `zone`: one of that zone if there is any, else one of all.
    pub(super) fn leader(self, proxies: &[Proxy], zone: &str) -> Option<NodeId> {
        let near = proxies.iter().filter(|proxy| proxy.zone == zone);
        self.best(near).or_else(|| self.best(proxies.iter()))
    }

    /// `leader`, then the best of every other zone, in the order of their scores, up to `count`.
    pub(super) fn replicas(self, proxies: &[Proxy], leader: NodeId, count: usize) -> Vec<NodeId> {
        if count <= 1 || proxies.len() <= 1 {
            return vec![leader];
        }
        let home = proxies.iter().find(|proxy| proxy.node == leader);
        let mut ranked: Vec<_> = proxies.iter().collect();
        ranked.sort_by_key(|proxy| std::cmp::Reverse((self.score(proxy.node), proxy.node)));
        let mut zones: Vec<&str> = home.iter().map(|proxy| &*proxy.zone).collect();
        let mut replicas = vec![leader];
        for proxy in ranked {
            if replicas.len() >= count {
                break;
            }
            if !zones.contains(&&*proxy.zone) {
                zones.push(&proxy.zone);
                replicas.push(proxy.node);
            }
        }
        replicas
    }

    fn best<'a>(self, proxies: impl Iterator<Item = &'a Proxy>) -> Option<NodeId> {
        proxies.map(|proxy| proxy.node).max_by_key(|node| (self.score(*node), *node))
    }
}

/// The finalizer of MurmurHash3: every bit of the input moves every bit of the output.
fn mix(mut bits: u64) -> u64 {
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn in_zones(nodes: &[(u32, &'static str)]) -> Vec<Proxy> {
        nodes.iter().map(|&(node, zone)| proxy(node, zone)).collect()
    }

    fn proxy(node: u32, zone: &str) -> Proxy {
        Proxy { node: NodeId(node), host: "h".into(), port: 1, zone: zone.into(), drains: false }
    }

    fn partitions(topic: u128, count: u32) -> impl Iterator<Item = Placed> {
        let topic = TopicId(Uuid::from_u128(topic));
        (0..count).map(move |p| Placed::partition(topic, PartitionIndex(p)))
    }

    #[test]
    fn the_hash_is_what_it_always_was() {
        let nodes = in_zones(&[(1, "a"), (2, "a"), (3, "a"), (4, "a"), (5, "a")]);
        let shown: Vec<u32> =
            partitions(7, 12).map(|placed| placed.leader(&nodes, "a").unwrap().0).collect();
        assert_eq!(shown, GOLDEN);
        assert_eq!(Placed::key("my-group").leader(&nodes, "a"), Some(NodeId(GOLDEN_KEY)));
    }
    const GOLDEN: [u32; 12] = [3, 3, 5, 3, 4, 1, 1, 3, 1, 2, 5, 1];
    const GOLDEN_KEY: u32 = 1;

    #[test]
    fn own_zone_first_then_any() {
        let nodes = in_zones(&[(1, "a"), (2, "b"), (3, "b")]);
        for placed in partitions(9, 100) {
            assert_eq!(placed.leader(&nodes, "a"), Some(NodeId(1)));
            assert_ne!(placed.leader(&nodes, "b"), Some(NodeId(1)));
            assert!(placed.leader(&nodes, "elsewhere").is_some());
            assert_eq!(placed.leader(&[], "a"), None);
        }
    }

    #[test]
    fn replicas_are_one_a_zone() {
        let nodes = in_zones(&[(1, "a"), (2, "a"), (3, "b"), (4, "b"), (5, "c")]);
        for placed in partitions(3, 50) {
            let leader = placed.leader(&nodes, "b").unwrap();
            let replicas = placed.replicas(&nodes, leader, 3);
            assert_eq!(replicas.len(), 3);
            assert_eq!(replicas[0], leader);
            let zone = |node: &NodeId| &*nodes.iter().find(|c| c.node == *node).unwrap().zone;
            let zones: Vec<&str> = replicas.iter().map(zone).collect();
            assert_eq!(zones[0], "b");
            assert!(zones.contains(&"a") && zones.contains(&"c"));
            assert_eq!(placed.replicas(&nodes, leader, 1), [leader]);
        }
    }

    proptest! {
        #[test]
        fn shares_are_balanced(topic in any::<u128>(), proxies in 2_u32..12) {
            let nodes: Vec<_> =
                (1..=proxies).map(|node| proxy(node, "z")).collect();
            let mut shares = BTreeMap::<NodeId, u32>::new();
            let count = 2000 * proxies;
            for placed in partitions(topic, count) {
                *shares.entry(placed.leader(&nodes, "z").unwrap()).or_default() += 1;
            }
            // Six standard deviations of a fair draw, about.
            for (node, share) in shares {
                prop_assert!((1730..=2270).contains(&share), "{node}: {share} of {count}");
            }
        }

        #[test]
        fn only_the_share_of_who_left_moves(
            topic in any::<u128>(),
            ids in prop::collection::btree_set(any::<u32>(), 2..10),
            gone in any::<prop::sample::Index>(),
        ) {
            let before: Vec<_> =
                ids.iter().map(|node| proxy(*node, "z")).collect();
            let mut after = before.clone();
            let left = after.remove(gone.index(before.len()));
            for placed in partitions(topic, 500) {
                let shown = placed.leader(&before, "z");
                if shown != Some(left.node) {
                    prop_assert_eq!(placed.leader(&after, "z"), shown);
                }
            }
        }

        #[test]
        fn the_order_of_proxies_does_not_matter(topic in any::<u128>(), turn in 0_usize..7) {
            let nodes = in_zones(&[(1, "a"), (2, "a"), (3, "b"), (4, "b"), (5, "c"), (6, "c"), (9, "a")]);
            let mut turned = nodes.clone();
            turned.rotate_left(turn);
            for placed in partitions(topic, 50) {
                let leader = placed.leader(&nodes, "a").unwrap();
                prop_assert_eq!(placed.leader(&turned, "a"), Some(leader));
                prop_assert_eq!(
                    placed.replicas(&turned, leader, 3),
                    placed.replicas(&nodes, leader, 3)
                );
            }
        }
    }
}
