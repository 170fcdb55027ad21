//! Who waits for slots to become durable. No I/O.

use tokio::sync::oneshot;
use weir_ids::Slot;
use weir_runtime::planted::{Bug, is_planted};

use super::gather::{Gather, Mark};

/// See the module.
#[derive(Default)]
pub(super) struct Waiters {
    /// Everything up to here is durable.
    landed: Option<Slot>,
    /// The last slot that was cut.
    cut: Option<Slot>,
    /// For batches that are not all in slots yet.
    gathering: Vec<(Mark, oneshot::Sender<Slot>)>,
    /// For this slot and all before it.
    landing: Vec<(Slot, oneshot::Sender<Slot>)>,
}

impl Waiters {
    /// `done` waits for all batches that have come up to now, and is told the slot behind them.
    pub(super) fn flush(&mut self, gather: &Gather, done: oneshot::Sender<Slot>) {
        let mark = gather.mark();
        if is_planted(Bug::ReleaseBeforeFlush) {
            let _ = done.send(gather.next_slot());
        } else if !gather.has_cut(mark) {
            self.gathering.push((mark, done));
        } else if self.cut > self.landed
            && let Some(slot) = self.cut
        {
            self.landing.push((slot, done));
        } else {
            let _ = done.send(gather.next_slot());
        }
    }

    /// `done` waits for this slot.
    pub(super) fn landing(&mut self, slot: Slot, done: oneshot::Sender<Slot>) {
        self.landing.push((slot, done));
    }

    /// A slot was cut.
    pub(super) fn cut(&mut self, slot: Slot, gather: &Gather) {
        self.cut = Some(slot);
        let ready = self.gathering.extract_if(.., |(mark, _)| gather.has_cut(*mark));
        self.landing.extend(ready.map(|(_, done)| (slot, done)));
    }

    /// This slot and all before it are durable.
    pub(super) fn landed(&mut self, slot: Slot) {
        self.landed = Some(slot);
        for (waited, done) in self.landing.extract_if(.., |(waited, _)| *waited <= slot) {
            let _ = done.send(waited.next());
        }
    }
}
