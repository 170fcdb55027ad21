//! What must hold in every state of the slot protocol's model: the predicates of the design, each as
//! far as slots decide it. Offset *n* is the record of slot *n*.

use super::{
    Slots,
    state::{Content, Metadata, State, bit},
};
use crate::checker::Property;

pub(super) const ALL: &[Property<Slots>] = &[
    Property { name: "acked_is_readable", holds: acked_is_readable },
    Property { name: "offsets_are_dense_and_unique", holds: offsets_are_dense_and_unique },
    Property { name: "one_writer", holds: one_writer },
    Property { name: "fenced_acks_nothing", holds: fenced_acks_nothing },
    Property { name: "refused_is_void", holds: refused_is_void },
    Property { name: "no_reference_to_deleted", holds: no_reference_to_deleted },
    Property { name: "monotonic", holds: |_, state| !state.went_back },
];

/// Whoever recovers the session, now or later, finds every acknowledged slot: in a checkpoint, or as
/// data below the seal.
fn acked_is_readable(_: &Slots, state: &State) -> bool {
    let Metadata { covers, sealed, .. } = state.metadata;
    slots(state.acked).all(|slot| {
        slot < covers
            || match state.adopted {
                Some(found) => found & bit(slot) != 0,
                None => (sealed == 0 || slot < sealed) && state.is_data(slot),
            }
    })
}

/// What is recovered has no hole: every slot below the seal holds data.
fn offsets_are_dense_and_unique(_: &Slots, state: &State) -> bool {
    let sealed = state.metadata.sealed > 0 && state.adopted.is_none();
    !sealed || state.to_recover().all(|slot| state.is_data(slot))
}

/// The successor writes on from the seal: from then on nobody else acknowledges what lies there. And
/// one process alone writes under a session id.
fn one_writer(_: &Slots, state: &State) -> bool {
    let above = slots(state.acked).any(|slot| slot >= state.metadata.sealed);
    let overlap = state.adopted.is_some() && above;
    !state.twin && !overlap
}

/// Nothing at or above a recorded seal is acknowledged, before or after.
fn fenced_acks_nothing(_: &Slots, state: &State) -> bool {
    let sealed = state.metadata.sealed;
    sealed == 0 || slots(state.acked).all(|slot| slot < sealed)
}

/// What clients were told is surely not written is not in the log: they send it again.
fn refused_is_void(_: &Slots, state: &State) -> bool {
    let Metadata { covers, sealed, .. } = state.metadata;
    slots(state.refused).all(|slot| slot >= covers && (sealed == 0 || slot >= sealed))
}

/// A seal names a fence that is there, and the open marker stays.
fn no_reference_to_deleted(_: &Slots, state: &State) -> bool {
    let sealed = usize::from(state.metadata.sealed);
    state.store[0] != Content::Absent && (sealed == 0 || state.store[sealed] == Content::Fence)
}

fn slots(mask: u16) -> impl Iterator<Item = u8> {
    (0..16).filter(move |slot| mask & bit(*slot) != 0)
}
