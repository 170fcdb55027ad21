//! The format of pages.
//!
//! ```text
//! object: header as of every object, 64 bytes, kind 5 · pages, one behind the other
//! page:   length 4, of what follows · magic "PAGE" 4 · topic 16 · partition 4 · level 1 · entries · CRC32C of all
//!         from the magic on 4
//! ```
//!
//! Entries are varints: references as in a checkpoint (level 0), or references to pages of the level below. A page
//! is read by itself; the length leads whoever reads a whole object from page to page.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;
use weir_ids::{Offset, PartitionIndex, Timestamp, TopicId, TopicPartition};
use weir_protocol::records::crc32c;

use super::{Entries, Page, PageRef};
use crate::{
    reference::{self, get_object, get_range, put_object, put_range},
    wire::{Cursor, Malformed, put_signed, put_varint},
};

const MAGIC: [u8; 4] = *b"PAGE";

/// The fewest bytes that a reference to a page takes.
const LEAST_BYTES: usize = 10;

/// Why bytes are not a page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They are something else, or cut.
    #[error("not a whole page: {0}")]
    NotAPage(&'static str),
    /// The checksum does not fit.
    #[error("the page fails its checksum: stored {stored:08x}, computed {computed:08x}")]
    Checksum {
        /// The stored sum.
        stored: u32,
        /// The sum of the bytes as they are.
        computed: u32,
    },
    /// Bytes that are summed right but make no sense.
    #[error("the page is malformed: {0}")]
    Malformed(#[from] Malformed),
}

/// The bytes of a page.
pub(super) fn encode(page: &Page, level: u8) -> Bytes {
    let mut to = BytesMut::new();
    to.put_u32_le(0);
    to.put_slice(&MAGIC);
    to.put_slice(page.partition.topic.0.as_bytes());
    to.put_u32_le(page.partition.partition.0);
    to.put_u8(level);
    match &page.entries {
        Entries::References(references) => reference::put(&mut to, references),
        Entries::Pages(pages) => put_refs(&mut to, pages),
    }
    let crc = crc32c(&to[4..]);
    to.put_u32_le(crc);
    let len = (to.len() - 4) as u32;
    to[..4].copy_from_slice(&len.to_le_bytes());
    to.freeze()
}

/// Reads a page.
///
/// # Errors
/// When the bytes are not exactly one, or rotten. Never panics.
pub fn decode(bytes: &[u8]) -> Result<Page, DecodeError> {
    let cut = || DecodeError::NotAPage("its length is not that of its bytes");
    let (len, page) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
    if u32::from_le_bytes(*len) as usize != page.len() {
        return Err(cut());
    }
    let (content, stored) = page.split_last_chunk::<4>().ok_or_else(cut)?;
    if !content.starts_with(&MAGIC) {
        return Err(DecodeError::NotAPage("it does not begin with PAGE"));
    }
    let (stored, computed) = (u32::from_le_bytes(*stored), crc32c(content));
    if stored != computed {
        return Err(DecodeError::Checksum { stored, computed });
    }
    let mut from = Cursor::new(&content[MAGIC.len()..]);
    let topic = TopicId(Uuid::from_bytes(from.array("topic")?));
    let partition = TopicPartition::new(topic, PartitionIndex(from.u32("partition")?));
    let level = from.u8("level")?;
    let entries = match level {
        0 => Entries::References(reference::get(&mut from)?),
        _ => Entries::Pages(get_refs(&mut from)?),
    };
    from.finish("bytes behind the entries")?;
    match entries.sum() {
        Some(sum) if sum.level == level => Ok(Page { partition, entries }),
        _ => Err(from.malformed("entries that do not follow one another").into()),
    }
}

/// Appends references to pages, each relative to the one before.
pub(crate) fn put_refs(to: &mut BytesMut, pages: &[PageRef]) {
    put_varint(to, pages.len() as u64);
    let mut end = Offset::ZERO;
    for page in pages {
        put_object(to, page.object);
        put_range(to, page.place);
        to.put_u8(page.level);
        put_signed(to, page.base.0.wrapping_sub(end.0));
        put_varint(to, page.last.0.wrapping_sub(page.base.0) as u64);
        put_signed(to, page.max_timestamp.0);
        put_varint(to, page.bytes);
        end = page.last;
    }
}

/// Reads what [`put_refs`] wrote.
pub(crate) fn get_refs(from: &mut Cursor<'_>) -> Result<Vec<PageRef>, Malformed> {
    let count = from.count(LEAST_BYTES, "count of pages")?;
    let mut pages = Vec::with_capacity(count);
    let mut end = Offset::ZERO;
    for _ in 0..count {
        let object = get_object(from)?;
        let place = get_range(from)?;
        let level = from.u8("level")?;
        let base = Offset(end.0.wrapping_add(from.signed("base offset")?));
        let span: i64 = from.narrow("span of offsets")?;
        let last = base.0.checked_add(span).filter(|_| base.0 >= 0);
        let last = Offset(last.ok_or_else(|| from.malformed("offsets out of range"))?);
        let max_timestamp = Timestamp(from.signed("timestamp")?);
        let bytes = from.varint("bytes of records")?;
        pages.push(PageRef { object, place, level, base, last, max_timestamp, bytes });
        end = last;
    }
    Ok(pages)
}
