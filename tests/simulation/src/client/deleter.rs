//! A deleter: has logs begin later, now and then, as programs do that have dealt with their records.

use std::time::Duration;

use tokio::time::sleep;
use weir_history::{Edge, Event, Isolation, Notes, Place};
use weir_protocol::messages::{
    DeleteRecordsRequest,
    delete_records::{DeleteRecordsPartition, DeleteRecordsTopic},
};

use super::{
    Phase, Shared,
    directory::Directory,
    fetch::{LATEST, list},
};

const VERSION: i16 = 2;
/// How long the server may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How much stays at least, so that those who read are not thrown back all the time.
const STAYS: i64 = 400;

/// Deletes records of `partitions` until the phase ends.
pub(crate) async fn delete(shared: Shared, partitions: Vec<i32>) {
    let notes = shared.recorder.client(Isolation::default());
    let directory = Directory::new(&shared, notes.client().0);
    while shared.phase() == Phase::Working {
        sleep(directory.chance.millis(500..=4_000)).await;
        let partition = *directory.chance.pick(&partitions);
        let ends = list(&directory, directory.any(), &[partition], LATEST).await;
        if let Some(end) = ends.get(&partition) {
            let offset = end.offset - STAYS - directory.chance.below(STAYS as u64) as i64;
            if offset > 0 {
                delete_below(&directory, &notes, Place { partition, offset }).await;
            }
        }
    }
}

async fn delete_below(directory: &Directory, notes: &Notes, place: Place) {
    let (name, partition_index) = directory.shared.topics.of(place.partition);
    let asked = DeleteRecordsPartition { partition_index, offset: place.offset };
    let topics = vec![DeleteRecordsTopic { name: name.into(), partitions: vec![asked] }];
    let request = DeleteRecordsRequest { topics, timeout_ms: TIMEOUT.as_millis() as i32 };
    let asked = notes.now();
    notes.note(Event::DeleteSent(place));
    let Ok(answer) = directory.ask(directory.any(), VERSION, &request).await else { return };
    let told = answer.topics.iter().flat_map(|topic| &topic.partitions);
    for told in told.filter(|told| told.error_code.is_none()) {
        let place = Place { partition: place.partition, offset: told.low_watermark };
        notes.note(Event::EdgeSeen { edge: Edge::Start, place, epoch: -1, asked });
    }
}
