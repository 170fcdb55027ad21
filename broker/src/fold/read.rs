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

/// References that follow one another, in groups of about so many bytes.
pub(crate) fn groups(references: &[Reference], bytes: u64) -> impl Iterator<Item = &[Reference]> {
    let mut rest = references;
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fits = rest.iter().take_while(|reference| {
            let fits = sum == 0 || sum + u64::from(reference.data.len) <= bytes;
            sum += u64::from(reference.data.len).max(1);
            fits
        });
        let (group, behind) = rest.split_at(fits.count());
        rest = behind;
        (!group.is_empty()).then_some(group)
    })
}

#[cfg(test)]
mod tests {
    use weir_ids::{LeaderEpoch, Offset, SessionId, Timestamp};
    use weir_segment_store::ByteRange;

    use super::*;

    #[test]
    fn groups_are_of_about_the_size_that_they_should_have() {
        let reference = |(place, len): (i64, &u32)| Reference {
            object: ObjectName::Sorted { session: SessionId(1), number: 1 },
            base: Offset(place),
            last: Offset(place),
            epoch: LeaderEpoch(1),
            max_timestamp: Timestamp(0),
            data: ByteRange { at: 0, len: *len },
            index: ByteRange { at: 0, len: 1 },
        };
        let references: Vec<_> = (0..).zip(&[50, 40, 30, 200, 10, 10]).map(reference).collect();
        let lens: Vec<usize> = groups(&references, 100).map(<[_]>::len).collect();
        assert_eq!(lens, [2, 1, 1, 2]);
        assert_eq!(groups(&[], 100).count(), 0);
    }
}
