//! An asker: wants to know of any proxy where logs begin and end.

use tokio::time::sleep;
use weir_history::{Edge, Event, Isolation, Place};

use super::{
    Phase, Shared,
    directory::Directory,
    fetch::{EARLIEST, LATEST, list},
};

/// Asks until the phase ends.
pub(crate) async fn ask(shared: Shared) {
    let notes = shared.recorder.client(Isolation::default());
    let directory = Directory::new(&shared, notes.client().0);
    let all: Vec<i32> = (0..shared.topics.partitions()).collect();
    while shared.phase() == Phase::Working {
        let (edge, timestamp) = match directory.chance.below(4) {
            0 => (Edge::Start, EARLIEST),
            _ => (Edge::End, LATEST),
        };
        let asked = notes.now();
        for (partition, listed) in list(&directory, directory.any(), &all, timestamp).await {
            let place = Place { partition, offset: listed.offset };
            notes.note(Event::EdgeSeen { edge, place, epoch: listed.epoch, asked });
        }
        sleep(directory.chance.millis(50..=600)).await;
    }
}
