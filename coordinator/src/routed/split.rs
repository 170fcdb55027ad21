//! One request for several groups, split by where they are kept.

use std::{collections::BTreeMap, future::Future};

use futures::future::join_all;
use weir_ids::NodeId;

/// What is asked, by node, each with its place in the answer.
pub(super) struct Split<T> {
    by_node: BTreeMap<Option<NodeId>, (Vec<usize>, Vec<T>)>,
}

impl<T> Split<T> {
    pub(super) fn new(asked: Vec<T>, node_of: impl Fn(&T) -> Option<NodeId>) -> Self {
        let mut by_node: BTreeMap<_, (Vec<usize>, Vec<T>)> = BTreeMap::new();
        for (place, one) in asked.into_iter().enumerate() {
            let (places, some) = by_node.entry(node_of(&one)).or_default();
            places.push(place);
            some.push(one);
        }
        Self { by_node }
    }

    /// Asks all nodes at once; the answers are in the order of what was asked. Each node gives one
    /// answer for each question, in order.
    pub(super) async fn ask<A, F: Future<Output = Vec<A>>>(
        self,
        ask: impl Fn(Option<NodeId>, Vec<T>) -> F,
    ) -> Vec<A> {
        let asked = self.by_node.into_iter().map(|(node, (places, some))| {
            let answers = ask(node, some);
            async move { places.into_iter().zip(answers.await).collect::<Vec<_>>() }
        });
        let mut answers: Vec<(usize, A)> = join_all(asked).await.into_iter().flatten().collect();
        answers.sort_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_come_in_the_order_of_the_questions() {
        let split =
            Split::new((0..10).collect(), |n: &u32| Some(NodeId(n % 3)).filter(|node| node.0 > 0));
        assert_eq!(split.by_node.len(), 3);
        let answers = split.ask(|_, some| async move { some.into_iter().map(|n| n * n).collect() });
        assert_eq!(answers.await, (0..10).map(|n| n * n).collect::<Vec<u32>>());
    }
}
