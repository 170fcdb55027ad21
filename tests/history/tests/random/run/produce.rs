//! What producers do and are told.

use weir_history::{Delivery, Event, Place, Seen, Transaction, Value};

use super::{DELIVERIES, Pending, Run, TRANSACTIONAL, WITHIN};

impl Run {
    pub(super) fn send(&mut self, writer: usize, partition: i32) {
        let (notes, producer) = &mut self.writers[writer];
        if writer >= TRANSACTIONAL && producer.transaction.is_none() {
            producer.transaction = Some(Transaction(self.transactions));
            self.transactions += 1;
        }
        let transaction = producer.transaction;
        let value =
            Value { writer: u16::try_from(writer).expect("few writers"), number: producer.next };
        producer.next += 1;
        producer.pending.push(Pending { value, partition, transaction });
        // What librdkafka sends is not told one by one.
        if DELIVERIES[writer] != Delivery::AtLeastOnce {
            notes.note(Event::Sent { value, partition, transaction });
        }
    }

    /// The oldest request of a writer comes to its end.
    pub(super) fn resolve(&mut self, writer: usize) {
        let (notes, producer) = &mut self.writers[writer];
        if producer.pending.is_empty() {
            return;
        }
        let Pending { value, partition, transaction } = producer.pending.remove(0);
        let sent = Event::Sent { value, partition, transaction };
        let is_told = DELIVERIES[writer] != Delivery::AtLeastOnce;
        match self.chance.below(10) {
            0 => {} // Lost, unclear.
            1 => _ = self.cluster.append(partition, value, transaction),
            2 if is_told => notes.note(Event::Refused(value)),
            unclear => {
                let mut place = self.cluster.append(partition, value, transaction);
                if unclear == 3 {
                    // Sent again: a duplicate only where nothing prevents it.
                    if is_told {
                        notes.note(sent);
                    }
                    if DELIVERIES[writer] != Delivery::ExactlyOnce {
                        place = self.cluster.append(partition, value, transaction);
                    }
                }
                let told = !self.chance.once_in(10);
                let offset = if told { place.offset } else { -1 };
                let place = Place { partition, offset };
                notes.note(Event::Acked(Seen { place, value }));
            }
        }
    }

    pub(super) fn end_transaction(&mut self) {
        let writer = TRANSACTIONAL + self.chance.below(2);
        while !self.writers[writer].1.pending.is_empty() {
            self.resolve(writer);
        }
        let (notes, producer) = &mut self.writers[writer];
        let Some(transaction) = producer.transaction.take() else { return };
        let place = Place { partition: 0, offset: self.within };
        let within = Some(transaction);
        notes.note(Event::OffsetSent { group: WITHIN, place, transaction: within });
        self.cluster.commit(WITHIN, place, within);
        self.within += 1;
        let outcome = self.chance.below(6);
        if outcome < 4 {
            notes.note(Event::Committing(transaction));
        }
        self.cluster.finish(transaction, outcome < 3);
        match outcome {
            0 | 1 => notes.note(Event::Committed(transaction)),
            4 => notes.note(Event::Aborted(transaction)),
            _ => {} // Unclear, or abandoned and aborted by its coordinator.
        }
    }
}
