//! A bookkeeper: keeps a count in the committed offset of one partition, as programs do that assign
//! partitions to themselves, and reads what others of its group keep. It stays with one proxy for a while,
//! so that bookkeepers of a group may talk to coordinators that do not know of each other.

use tokio::time::sleep;
use weir_history::{Event, Group, Isolation, Place};

use super::{
    Membership, Phase, Shared,
    directory::Directory,
    offsets::{Committer, commit, committed},
};

/// How often it goes to another proxy, in percent of its commits.
const STRAYS_PERCENT: u64 = 2;

/// Counts until the phase ends, in the place of `partition`; reads also what stands in those of `others`.
pub(crate) async fn keep_books(
    shared: Shared,
    membership: Membership,
    partition: i32,
    others: Vec<i32>,
) {
    let notes = shared.recorder.client(Isolation::default());
    let directory = Directory::new(&shared, notes.client().0);
    let chance = &directory.chance;
    let group = Group(membership.number);
    let by = Committer::alone(&membership.group);
    let mut proxy = directory.any();
    let mut count = 0;
    let say = |what: std::fmt::Arguments<'_>| {
        shared.net.trace().line(format_args!("b{} of {partition} {what}", notes.client().0));
    };
    while shared.phase() == Phase::Working {
        count += 1;
        let place = Place { partition, offset: count };
        notes.note(Event::OffsetSent { group, place, transaction: None });
        match commit(&directory, proxy, &by, &[(partition, count)]).await {
            Ok(answered) if answered.iter().all(|(_, code)| code.is_none()) => {
                notes.note(Event::OffsetAcked { group, place });
                say(format_args!("has committed {count}"));
            }
            // The coordinator moves, or is loading: there is no other way to it.
            Ok(answered) => say(format_args!("commits {count} in vain: {answered:?}")),
            Err(_) => {
                say(format_args!("is not answered for {count}"));
                proxy = directory.any();
            }
        }
        let asked = notes.now();
        let read = committed(&directory, directory.any(), &by.group_id, &others).await;
        let read = read.unwrap_or_default();
        say(format_args!("reads {read:?}"));
        for (partition, offset) in read {
            let place = Place { partition, offset };
            notes.note(Event::OffsetRead { group, place, asked });
        }
        if chance.percent(STRAYS_PERCENT) {
            proxy = directory.any();
        }
        sleep(chance.millis(20..=300)).await;
    }
}
