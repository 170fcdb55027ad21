//! Reading what lies in many objects.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use weir_segment_store::{ObjectName, ReadError, Reader, Reference, Stored};

/// How many objects are read together.
const READ_TOGETHER: usize = 4;

/// All that `references` lead to, in their order, object by object.
pub(crate) async fn read_all(
    reader: &Reader,
    references: &[Reference],
) -> Vec<Result<Stored, ReadError>> {
    let mut by_object: BTreeMap<ObjectName, Vec<(usize, Reference)>> = BTreeMap::new();
    for (place, reference) in references.iter().enumerate() {
        by_object.entry(reference.object).or_default().push((place, *reference));
    }
    let requests = by_object.into_iter().map(|(object, wanted)| async move {
        let references: Vec<Reference> = wanted.iter().map(|(_, it)| *it).collect();
        let read = reader.all(object, &references).await;
        wanted.into_iter().map(|(place, _)| place).zip(read).collect::<Vec<_>>()
    });
    let requests: Vec<_> = requests.collect();
    let answers = stream::iter(requests).buffer_unordered(READ_TOGETHER);
    let mut read: Vec<_> = answers.flat_map(stream::iter).collect().await;
    read.sort_by_key(|(place, _)| *place);
    read.into_iter().map(|(_, read)| read).collect()
}
