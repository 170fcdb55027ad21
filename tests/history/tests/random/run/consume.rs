//! What consumers, groups and those who only look do and are told.

use weir_history::{Edge, Event, Isolation, Place};

use super::{MEMBER, READERS, Run, SHARED, WITHIN};

impl Run {
    pub(super) fn poll(&mut self, partition: i32) {
        let reader = match self.chance.below(MEMBER + 1) {
            MEMBER => self.owners[partition as usize],
            alone => alone,
        };
        let start = self.cluster.start(partition);
        let (notes, isolation, positions) = &mut self.readers[reader];
        let position = positions.entry(partition).or_insert_with(|| {
            notes.note(Event::Sought(Place { partition, offset: start }));
            start
        });
        if *position < start {
            notes.note(Event::Reset(Place { partition, offset: start }));
            *position = start;
        }
        let committed_only = *isolation == Isolation::ReadCommitted;
        let mut records = self.cluster.read(partition, *position, committed_only);
        records.truncate(self.chance.below(6));
        if let Some(last) = records.last() {
            *position = last.place.offset + 1;
        }
        notes.note_all(records.into_iter().map(Event::Polled));
    }

    /// The owner commits its position; sometimes somebody reads it.
    pub(super) fn commit(&mut self, partition: i32) {
        let (notes, _, positions) = &self.readers[self.owners[partition as usize]];
        if let Some(offset) = positions.get(&partition).copied() {
            let place = Place { partition, offset };
            notes.note(Event::OffsetSent { group: SHARED, place, transaction: None });
            let outcome = self.chance.below(5);
            if outcome > 0 {
                self.cluster.commit(SHARED, place, None);
            }
            if outcome > 1 {
                notes.note(Event::OffsetAcked { group: SHARED, place });
            }
        }
        for (group, partition) in [(SHARED, partition), (WITHIN, 0)] {
            let place = Place { partition, offset: self.cluster.committed(group, partition) };
            let asked = self.tool.now();
            self.tool.note(Event::OffsetRead { group, place, asked });
        }
    }

    /// A writer asks for an edge; another request that was under way is answered.
    pub(super) fn look(&mut self, writer: usize, partition: i32) {
        let edge = [Edge::Start, Edge::Stable, Edge::End][self.chance.below(3)];
        self.asked.push((writer, edge, partition, self.writers[writer].0.now()));
        if self.chance.once_in(2) {
            let (writer, edge, partition, asked) = self.asked.remove(0);
            let offset = match edge {
                Edge::Start => self.cluster.start(partition),
                Edge::Stable => self.cluster.stable(partition),
                Edge::End => self.cluster.end(partition),
            };
            let place = Place { partition, offset };
            let epoch = self.epoch;
            self.writers[writer].0.note(Event::EdgeSeen { edge, place, epoch, asked });
        }
    }

    pub(super) fn rebalance_or_seek(&mut self, partition: i32) {
        let start = self.cluster.start(partition);
        if self.chance.once_in(2) {
            let (notes, _, positions) = &mut self.readers[self.chance.below(MEMBER)];
            let offset = self.chance.within(start, self.cluster.end(partition));
            notes.note(Event::Sought(Place { partition, offset }));
            positions.insert(partition, offset);
            return;
        }
        let member = MEMBER + self.chance.below(READERS - MEMBER);
        self.owners[partition as usize] = member;
        let (notes, _, positions) = &mut self.readers[member];
        let (group, asked) = (SHARED, notes.now());
        let offset = self.cluster.committed(group, partition);
        let place = Place { partition, offset: if offset < 0 { start } else { offset } };
        notes.note(match offset {
            0.. => Event::Resumed { group, place, asked },
            _ => Event::Sought(place),
        });
        positions.insert(partition, place.offset);
    }

    pub(super) fn delete(&mut self, partition: i32) {
        let (start, stable) = (self.cluster.start(partition), self.cluster.stable(partition));
        let below = Place { partition, offset: self.chance.within(start, stable.min(start + 10)) };
        self.tool.note(Event::DeleteSent(below));
        self.cluster.delete(below);
    }
}
