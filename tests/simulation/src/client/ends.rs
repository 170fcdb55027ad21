//! What there is in the end, read through the proxies like everything else.

use std::collections::BTreeMap;

use tokio::time::{Duration, sleep};
use weir_history::{Place, Seen};
use weir_protocol::ErrorCode;

use super::{
    Shared,
    directory::Directory,
    fetch::{EARLIEST, LATEST, fetch, list},
    offsets::committed,
};

const PAUSE: Duration = Duration::from_millis(100);
/// The one client that nobody notes.
const READER: u16 = u16::MAX;

/// What there is.
pub(crate) struct Ends {
    pub(crate) starts: Vec<i64>,
    pub(crate) ends: Vec<i64>,
    pub(crate) read: Vec<Seen>,
    /// Committed offsets of groups, by the group's number.
    pub(crate) offsets: Vec<(u16, Place)>,
}

/// Reads everything. Tells the consumers how far there is something to read.
pub(crate) async fn read_ends(shared: &Shared, groups: &[&str]) -> Ends {
    let directory = Directory::new(shared, READER);
    let ends = edges(&directory, LATEST).await;
    shared.ends.send_replace(Some(ends.clone()));
    let mut starts = edges(&directory, EARLIEST).await;
    let mut read = Vec::new();
    for (partition, (start, end)) in (0..).zip(starts.iter_mut().zip(&ends)) {
        let mut position = BTreeMap::from([(partition, *start)]);
        while position[&partition] < *end {
            if directory.leader(partition).is_none() && !directory.refresh().await {
                sleep(PAUSE).await;
            }
            let fetched = fetch(&directory, &position).await;
            if fetched.is_empty() {
                sleep(PAUSE).await;
            }
            for fetched in fetched {
                if fetched.error == ErrorCode::OFFSET_OUT_OF_RANGE {
                    // The log begins later by now.
                    *start = edges(&directory, EARLIEST).await[partition as usize];
                    read.retain(|seen: &Seen| seen.place.partition != partition);
                    position.insert(partition, *start);
                    continue;
                }
                if !fetched.error.is_none() {
                    directory.forget(partition);
                    sleep(PAUSE).await;
                }
                position.insert(partition, fetched.next);
                read.extend(
                    fetched
                        .records
                        .into_iter()
                        .map(|(offset, value)| Seen { place: Place { partition, offset }, value }),
                );
            }
        }
    }
    let mut offsets = Vec::new();
    for (number, group) in (0..).zip(groups) {
        let all: Vec<i32> = (0..shared.topics.partitions()).collect();
        let committed = loop {
            if let Some(committed) =
                committed(&directory, directory.any(), &(*group).into(), &all).await
            {
                break committed;
            }
            sleep(PAUSE).await;
        };
        let committed = committed.into_iter().filter(|(_, offset)| *offset >= 0);
        offsets.extend(committed.map(|(partition, offset)| (number, Place { partition, offset })));
    }
    Ends { starts, ends, read, offsets }
}

async fn edges(directory: &Directory, edge: i64) -> Vec<i64> {
    let all: Vec<i32> = (0..directory.shared.topics.partitions()).collect();
    loop {
        let listed = list(directory, directory.any(), &all, edge).await;
        if listed.len() == all.len() {
            return listed.into_values().map(|listed| listed.offset).collect();
        }
        sleep(PAUSE).await;
    }
}
