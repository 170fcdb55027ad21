//! What happened to each value, in one table a writer.

use std::collections::HashMap;

use crate::{Delivery, Event, History, Place, Seen, Transaction, Value};

/// What a value's writer did with it, and what there is of it in the end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    /// How often its sending is in the log.
    sends: u16,
    /// How many of these were refused.
    refusals: u16,
    /// How often it is there in the end.
    pub(crate) copies: u16,
    /// Where it is first in the end.
    pub(crate) found: Option<Place>,
    /// The partition that it was sent to, where the log tells.
    pub(crate) sent_to: Option<i32>,
    /// The transaction that it is part of.
    pub(crate) transaction: Option<Transaction>,
    /// The highest offset of its partition that was acknowledged before it was first sent.
    pub(crate) floor: Option<i64>,
}

/// The fates of all values that were sent.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    /// By writer, then by number.
    fates: Vec<Vec<Fate>>,
    deliveries: Vec<Delivery>,
}

impl Values {
    /// Walks the log.
    pub(crate) fn gather(history: &History) -> Self {
        let fates = history.writers.iter().map(|it| vec![Fate::default(); it.sent as usize]);
        let deliveries = history.writers.iter().map(|it| it.delivery).collect();
        let mut values = Self { fates: fates.collect(), deliveries };
        let mut acked: HashMap<i32, i64> = HashMap::new();
        for entry in &history.log {
            match entry.event {
                Event::Sent { value, partition, transaction } => {
                    let fate = values.grow(value);
                    if fate.sends == 0 {
                        fate.floor = acked.get(&partition).copied();
                        (fate.sent_to, fate.transaction) = (Some(partition), transaction);
                    }
                    fate.sends = fate.sends.saturating_add(1);
                }
                Event::Refused(value) => {
                    let fate = values.grow(value);
                    fate.refusals = fate.refusals.saturating_add(1);
                }
                Event::Acked(Seen { place, .. }) => {
                    let highest = acked.entry(place.partition).or_insert(place.offset);
                    *highest = place.offset.max(*highest);
                }
                _ => {}
            }
        }
        values
    }

    /// Counts what there is in the end.
    pub(crate) fn count(&mut self, read: &[Seen]) {
        for Seen { place, value } in read {
            if let Some(fate) = self.entry(*value) {
                fate.copies = fate.copies.saturating_add(1);
                fate.found.get_or_insert(*place);
            }
        }
    }

    /// What happened to a value; none if it was never sent.
    pub(crate) fn get(&self, value: Value) -> Option<&Fate> {
        self.fates.get(usize::from(value.writer))?.get(value.number as usize)
    }

    pub(crate) fn delivery(&self, value: Value) -> Delivery {
        self.deliveries.get(usize::from(value.writer)).copied().unwrap_or_default()
    }

    /// How often a value may be there in the end; none if there is no limit.
    pub(crate) fn allowed(&self, value: Value) -> Option<u16> {
        let fate = self.get(value)?;
        let landed = fate.sends.saturating_sub(fate.refusals);
        let told = fate.sends > 0;
        match self.delivery(value) {
            _ if told && landed == 0 => Some(0),
            Delivery::ExactlyOnce => Some(1),
            Delivery::OnceEachSent if told => Some(landed),
            Delivery::OnceEachSent | Delivery::AtLeastOnce => None,
        }
    }

    fn entry(&mut self, value: Value) -> Option<&mut Fate> {
        self.fates.get_mut(usize::from(value.writer))?.get_mut(value.number as usize)
    }

    /// The fate of a value that is being sent.
    fn grow(&mut self, value: Value) -> &mut Fate {
        let (writer, number) = (usize::from(value.writer), value.number as usize);
        if self.fates.len() <= writer {
            self.fates.resize(writer + 1, Vec::new());
        }
        let fates = &mut self.fates[writer];
        if fates.len() <= number {
            fates.resize(number + 1, Fate::default());
        }
        &mut fates[number]
    }
}
