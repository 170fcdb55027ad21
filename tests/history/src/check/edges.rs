//! Where logs begin and end, as clients were told.

use std::collections::HashMap;

use super::floor::Floor;
use crate::facts::Facts;
use crate::{Client, Edge, Event, Order, Place, Source, Verdict, Violation};

pub(super) fn check(facts: &Facts<'_>, verdict: &mut Verdict) {
    let is_asked = |entry: &crate::Entry| matches!(entry.event, Event::EdgeSeen { .. });
    if !facts.history.log.iter().any(is_asked) {
        return; // Most runs with millions of acknowledgements never ask.
    }
    let mut edges = Edges { facts, told: HashMap::new(), acked: HashMap::new() };
    for (at, entry) in (0..).zip(&facts.history.log) {
        let by = Source::Run { client: entry.client, at: Order(at) };
        match entry.event {
            Event::Acked(acked) => edges.acked(acked.place, entry.client, by),
            Event::EdgeSeen { edge, place, epoch, asked } => {
                edges.told(Told { edge, place, client: entry.client, epoch, asked }, by, verdict);
            }
            _ => {}
        }
    }
}

/// An answer.
struct Told {
    edge: Edge,
    place: Place,
    client: Client,
    epoch: i32,
    asked: Order,
}

struct Edges<'a> {
    facts: &'a Facts<'a>,
    /// What each client was told, by partition, edge and leader epoch.
    told: HashMap<(Client, i32, Edge, i32), Floor>,
    /// What each client, or anybody, saw acknowledged in a partition.
    acked: HashMap<(Option<Client>, i32), Floor>,
}

impl Edges<'_> {
    /// Whose acknowledgements bind an answer to this client.
    fn binding(&self, client: Client) -> Option<Client> {
        (!self.facts.history.ends_bind_all).then_some(client)
    }

    fn acked(&mut self, place: Place, client: Client, by: Source) {
        let whose = self.binding(client);
        self.acked.entry((whose, place.partition)).or_default().raise(place.offset, by);
    }

    fn told(&mut self, told: Told, by: Source, verdict: &mut Verdict) {
        let Told { edge, place, client, epoch, asked } = told;
        let floor = self.told.entry((client, place.partition, edge, epoch)).or_default();
        let bound = floor.since(asked).filter(|(was, _)| place.offset < *was);
        floor.raise(place.offset, by);
        if let Some((was, known)) = bound {
            verdict.add(Violation::EdgeWentBack { edge, now: place, by, was, known });
        }
        self.check_acked(edge, place, client, asked, by, verdict);
        self.check_end(edge, place, by, verdict);
    }

    fn check_acked(
        &self,
        edge: Edge,
        end: Place,
        client: Client,
        asked: Order,
        by: Source,
        verdict: &mut Verdict,
    ) {
        let acked = self.acked.get(&(self.binding(client), end.partition));
        let acked = acked.and_then(|floor| floor.since(asked));
        if let Some((acked, known)) = acked.filter(|(acked, _)| end.offset <= *acked)
            && edge == Edge::End
        {
            verdict.add(Violation::EndBelowAcked { end, by, acked, known });
        }
    }

    /// No edge was ever higher than in the end.
    fn check_end(&self, edge: Edge, place: Place, known: Source, verdict: &mut Verdict) {
        let Some(edges) = self.facts.edges(place.partition) else { return };
        let offset = match edge {
            Edge::Start => edges.log_start,
            Edge::Stable => edges.stable,
            Edge::End => edges.end,
        };
        if offset < place.offset {
            let now = Place { partition: place.partition, offset };
            let (by, was) = (Source::End, place.offset);
            verdict.add(Violation::EdgeWentBack { edge, now, by, was, known });
        }
    }
}
