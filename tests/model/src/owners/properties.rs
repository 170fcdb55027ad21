//! What must hold in every state of the ownership model: the predicates of the design.

use super::{
    Owners,
    bridge::{claim, session},
    recover::Read,
    state::{Place, Role, State},
};
use crate::checker::Property;

pub(super) const ALL: &[Property<Owners>] = &[
    Property { name: "acked_is_readable", holds: acked_is_readable },
    Property { name: "offsets_are_dense_and_unique", holds: offsets_are_dense_and_unique },
    Property { name: "one_writer", holds: |_, state| !state.wrong.acked_twice },
    Property { name: "no_reference_to_deleted", holds: no_reference_to_deleted },
    Property { name: "monotonic", holds: |_, state| !state.wrong.went_back },
    Property { name: "recovery_finds_all", holds: |_, state| !state.wrong.recovery },
    Property { name: "adopted_is_listed", holds: adopted_is_listed },
];

/// Whatever was acknowledged would be found if its partition were recovered now, and its owner finds it.
fn acked_is_readable(model: &Owners, state: &State) -> bool {
    (0..model.partitions).all(|of| {
        let acked = state.acked_count(of);
        let found = state.recoverable(of, model.bug);
        let owned = state.owned(of).is_none_or(|by| {
            let held = &state.sessions[by].held[of];
            held.role != Role::Open || held.listing.next >= acked
        });
        owned && (acked == 0 || found.is_ok_and(|found| found.next >= acked))
    })
}

/// What would be found has no hole and nothing that was not acknowledged, each offset once.
fn offsets_are_dense_and_unique(model: &Owners, state: &State) -> bool {
    (0..model.partitions).all(|of| {
        let found = state.recoverable(of, model.bug);
        found.is_ok_and(|found| found.next <= state.acked_count(of))
    })
}

/// Every object that the owner, or what would be recovered now, refers to is there and holds the record;
/// so are the checkpoints that are needed.
fn no_reference_to_deleted(model: &Owners, state: &State) -> bool {
    let chains = (0..model.partitions).all(|of| {
        let log = state.logs[of].log();
        let adopted = claim(state.owner_adopted(of));
        let needed = (0..model.sessions).filter(|by| log.needs(session(*by), adopted));
        needed.into_iter().all(|by| {
            let mut numbers = state.chain_numbers(by, state.wals[by].published);
            numbers.all(|number| state.exists(Place::checkpoint(by, number)))
        })
    });
    chains
        && (0..model.partitions).all(|of| {
            let found = state.recoverable(of, model.bug);
            let owned = state.owned(of).is_none_or(|by| {
                let held = &state.sessions[by].held[of];
                held.role != Role::Open || state.is_readable(of, &held.listing)
            });
            owned && found.is_ok_and(|found| state.is_readable(of, &found))
        })
}

/// A published checkpoint that says it has adopted a claim lists its partition, for as long as the log
/// needs that.
fn adopted_is_listed(model: &Owners, state: &State) -> bool {
    (0..model.partitions).all(|of| {
        let next = state.claimed(of, 0, u8::MAX, model.bug);
        let adopted = claim(state.owner_adopted(of));
        next.parts().all(|part| {
            let wal = &state.wals[usize::from(part.session)];
            let needed = state.logs[of].log().needs(session(usize::from(part.session)), adopted);
            let read = Read { part, published: wal.published };
            !needed || wal.adopted < part.claim || state.lists(read, of, None)
        })
    })
}

impl State {
    /// The live session that owns a partition.
    fn owned(&self, of: usize) -> Option<usize> {
        let owner = usize::from(self.logs[of].owner);
        (owner < self.wals.len() && self.is_live(owner)).then_some(owner)
    }
}
