//! Following what a partition refers to.

use std::collections::BTreeSet;

use weir_ids::{Offset, TopicPartition};
use weir_segment_store::{
    ObjectName, ReadError, Reader, Reference, Store, StoreError, checkpoint::Listing,
    pages::Entries,
};

use super::{Problem, Report, sizes::Sizes};
use crate::fold::{groups, read_all};

/// How closely records are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Whether their objects are there, and long enough.
    Objects,
    /// Every byte is read, and its checksum compared.
    Records,
}

/// About how many bytes of records are read together.
const READ_BYTES: u64 = 16 << 20;

/// What has been followed up to now.
pub(super) struct Follow<'a> {
    reader: &'a Reader,
    depth: Depth,
    sizes: Sizes,
    needed: BTreeSet<ObjectName>,
    ranges: usize,
    read_bytes: u64,
    problems: BTreeSet<Problem>,
}

impl<'a> Follow<'a> {
    pub(super) fn new(
        store: &Store,
        reader: &'a Reader,
        listed: &[(ObjectName, u64)],
        depth: Depth,
    ) -> Self {
        Self {
            reader,
            depth,
            sizes: Sizes::new(store, listed),
            needed: BTreeSet::new(),
            ranges: 0,
            read_bytes: 0,
            problems: BTreeSet::new(),
        }
    }

    /// These are needed too.
    pub(super) fn need(&mut self, objects: impl IntoIterator<Item = ObjectName>) {
        self.needed.extend(objects);
    }

    /// Puts what was found into `report`. Returns the objects that are needed.
    pub(super) fn report_to(self, report: &mut Report) -> BTreeSet<ObjectName> {
        report.ranges = self.ranges;
        report.read_bytes = self.read_bytes;
        report.problems.extend(self.problems);
        self.needed
    }

    /// Looks at all that a partition refers to.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn listing(
        &mut self,
        partition: TopicPartition,
        listing: &Listing,
    ) -> Result<(), StoreError> {
        let mut pages = listing.pages.clone();
        while let Some(page) = pages.pop() {
            let end = page.place.at + u64::from(page.place.len);
            let is_gone = page.last < listing.log_start;
            if is_gone || !self.is_there(partition, page.object, end, page.base, page.last).await? {
                continue;
            }
            match self.reader.page(&page).await.map(|page| page.entries.clone()) {
                Ok(Entries::Pages(below)) => pages.extend(below),
                Ok(Entries::References(references)) => {
                    let from = references.partition_point(|it| it.last < listing.log_start);
                    self.references(partition, &references[from..]).await?;
                }
                Err(error) => self.unreadable(partition, page.base, error)?,
            }
        }
        self.references(partition, &listing.references).await
    }

    async fn references(
        &mut self,
        partition: TopicPartition,
        references: &[Reference],
    ) -> Result<(), StoreError> {
        let mut there = Vec::with_capacity(references.len());
        for it in references {
            let [data, index] = [it.data, it.index].map(|range| range.at + u64::from(range.len));
            let end = data.max(index);
            if self.is_there(partition, it.object, end, it.base, it.last).await? {
                there.push(*it);
            }
        }
        self.ranges += references.len();
        if self.depth == Depth::Objects {
            return Ok(());
        }
        for group in groups(&there, READ_BYTES) {
            for (range, read) in group.iter().zip(read_all(self.reader, group).await) {
                match read {
                    Ok(read) => self.read_bytes += read.bytes.len() as u64,
                    Err(error) => self.unreadable(partition, range.base, error)?,
                }
            }
        }
        Ok(())
    }

    /// Whether an object is there and at least `end` bytes long, which holds these offsets.
    async fn is_there(
        &mut self,
        partition: TopicPartition,
        object: ObjectName,
        end: u64,
        from: Offset,
        to: Offset,
    ) -> Result<bool, StoreError> {
        self.needed.insert(object);
        let there = self.sizes.of(object).await?.is_some_and(|len| len >= end);
        if !there {
            self.problems.insert(Problem::Missing { partition, object, from, to });
        }
        Ok(there)
    }

    fn unreadable(
        &mut self,
        partition: TopicPartition,
        from: Offset,
        error: ReadError,
    ) -> Result<(), StoreError> {
        match error {
            ReadError::Store(error) if error.may_heal() => Err(error),
            error => {
                let what = error.to_string();
                self.problems.insert(Problem::Unreadable { partition, from, what });
                Ok(())
            }
        }
    }
}
