//! Pages of references: where the older records of a partition are.
//!
//! A partition that is older than any process has more references than its owner could hold. The owner holds the
//! youngest, and of the others *pages*: a page lists some thousand references that follow one another, or pages of the
//! level below, and whoever holds a [`PageRef`] knows without reading the page whether it is needed. Pages never
//! change. Those of many partitions share an object, so that slow partitions cost no objects of their own.
//!
//! This module owns their format ([`codec`]) and says what they should list next ([`due`]); when they are made is the
//! broker's business.
//!
//! Invariant: what a page lists follows one another without hole or overlap, and is what the reference to it promises.

mod codec;
mod due;

pub use codec::{DecodeError, decode};
pub(crate) use codec::{get_refs, put_refs};

use bytes::{Bytes, BytesMut};
use weir_ids::{Offset, Timestamp, TopicPartition};

use crate::{
    ByteRange, ObjectName, Part, Reference,
    object::{HEADER_BYTES, Header},
    wire::{Cursor, Malformed},
};

/// How many entries a page has, by default: an offset among a million references is found by reading one page.
pub const PAGE_ENTRIES: usize = 1_024;

/// What a page lists, by offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entries {
    /// Where records are: a page of level 0.
    References(Vec<Reference>),
    /// Pages of the level below.
    Pages(Vec<PageRef>),
}

/// Where a page is, and what it lists in sum: offsets `base..=last`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PageRef {
    /// The object that holds it.
    pub object: ObjectName,
    /// Its bytes.
    pub place: ByteRange,
    /// How many levels of pages lie below it.
    pub level: u8,
    /// First offset.
    pub base: Offset,
    /// Last offset.
    pub last: Offset,
    /// The largest timestamp.
    pub max_timestamp: Timestamp,
    /// Bytes of records.
    pub bytes: u64,
}

/// One page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Whose records.
    pub partition: TopicPartition,
    /// What it lists; never empty.
    pub entries: Entries,
}

/// What entries are in sum.
struct Sum {
    level: u8,
    base: Offset,
    last: Offset,
    max_timestamp: Timestamp,
    bytes: u64,
}

impl Entries {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::References(references) => references.len(),
            Self::Pages(pages) => pages.len(),
        }
    }

    /// The first that ends at `from` or behind it and may hold a record that is not older than `timestamp`.
    pub fn first(&self, from: Offset, timestamp: Timestamp) -> Option<usize> {
        let holds = |last: Offset, newest: Timestamp| last >= from && newest >= timestamp;
        match self {
            Self::References(all) => all.iter().position(|it| holds(it.last, it.max_timestamp)),
            Self::Pages(all) => all.iter().position(|it| holds(it.last, it.max_timestamp)),
        }
    }

    /// What they are together; `None` if there are none, or they do not follow one another.
    fn sum(&self) -> Option<Sum> {
        match self {
            Self::References(references) => {
                let spans = references
                    .iter()
                    .map(|it| (it.base, it.last, it.max_timestamp, u64::from(it.data.len)));
                add_up(0, spans)
            }
            Self::Pages(pages) => {
                let below = pages.first()?.level;
                if pages.iter().any(|page| page.level != below) {
                    return None;
                }
                let spans = pages.iter().map(|it| (it.base, it.last, it.max_timestamp, it.bytes));
                add_up(below.checked_add(1)?, spans)
            }
        }
    }
}

fn add_up(
    level: u8,
    mut spans: impl Iterator<Item = (Offset, Offset, Timestamp, u64)>,
) -> Option<Sum> {
    let (base, last, max_timestamp, bytes) = spans.next()?;
    let first = Sum { level, base, last, max_timestamp, bytes };
    let sum = spans.try_fold(first, |sum, (base, last, max_timestamp, bytes)| {
        // The offset behind the last of all numbers is no other.
        (base == sum.last.plus(1) && base > sum.last && last >= base).then_some(Sum {
            last,
            max_timestamp: sum.max_timestamp.max(max_timestamp),
            bytes: sum.bytes.checked_add(bytes)?,
            ..sum
        })
    })?;
    (sum.base <= sum.last).then_some(sum)
}

impl PageRef {
    /// References to pages as they are handed to another process: in the format that checkpoints have.
    pub fn encode(pages: &[Self]) -> Bytes {
        let mut to = BytesMut::new();
        codec::put_refs(&mut to, pages);
        to.freeze()
    }

    /// What [`PageRef::encode`] made.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Vec<Self>, Malformed> {
        let mut from = Cursor::new(bytes);
        let pages = codec::get_refs(&mut from)?;
        from.finish("bytes behind the pages")?;
        Ok(pages)
    }

    /// Whether `page` is what this promises.
    pub fn fits(&self, page: &Page) -> bool {
        page.entries.sum().is_some_and(|sum| {
            (sum.level, sum.base, sum.last, sum.max_timestamp, sum.bytes)
                == (self.level, self.base, self.last, self.max_timestamp, self.bytes)
        })
    }
}

/// An object of pages, page by page.
pub struct Builder {
    name: ObjectName,
    parts: Vec<Part>,
    len: u64,
}

impl Builder {
    /// Begins the object `name`.
    pub fn new(name: ObjectName, header: &Header) -> Self {
        let parts = vec![Part::Bytes(header.encode())];
        Self { name, parts, len: HEADER_BYTES as u64 }
    }

    /// Adds a page.
    ///
    /// # Panics
    /// When the entries are none or do not follow one another: they are the caller's own making.
    pub fn add(&mut self, page: &Page) -> PageRef {
        let sum = page.entries.sum();
        let Sum { level, base, last, max_timestamp, bytes } =
            sum.unwrap_or_else(|| panic!("a page of {} has a hole", page.partition));
        let encoded: Bytes = codec::encode(page, level);
        let place = ByteRange { at: self.len, len: encoded.len() as u32 };
        self.len += encoded.len() as u64;
        self.parts.push(Part::Bytes(encoded));
        PageRef { object: self.name, place, level, base, last, max_timestamp, bytes }
    }

    /// The bytes of the object.
    pub fn finish(self) -> Vec<Part> {
        self.parts
    }
}

#[cfg(test)]
mod tests;
