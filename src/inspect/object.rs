//! An object, or the body of a slot, which has the same format: header, directory, chunks, batches.

use std::fmt;

use bytes::Bytes;
use weir_protocol::records::{Attributes, Batch, BatchHeader};
use weir_segment_store::object::{
    BatchEntry, BatchFlags, Chunk, Directory, Error, FOOTER_BYTES, Header, Kind,
};

use super::{
    page::{Count, Page, Stop},
    pages,
    utc::Utc,
};

/// Bytes of the magic, which a position in a header is not counted from.
const MAGIC_BYTES: u64 = 8;
/// Where a footer has its version, counted from its start.
const VERSION_AT: u64 = FOOTER_BYTES as u64 - 12;

pub(super) fn print(page: &mut Page<'_>, bytes: &Bytes) -> Result<(), Stop> {
    page.line(0, format_args!("object (WEIROBJ1), {} bytes", bytes.len()))?;
    let header = header(bytes, 0)?;
    page.field("cluster", header.cluster)?;
    page.field("session", header.session)?;
    page.field("holds", Named(&header))?;
    page.field("put id", format_args!("{:016x}", header.put_id))?;
    if header.kind == Kind::Pages {
        return pages::print(page, bytes);
    }
    let contents = print_contents(page, 0, bytes, 0)?;
    page.line(0, format_args!("{contents}, all as written"))
}

/// What a body calls itself.
pub(super) struct Named<'a>(pub(super) &'a Header);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind {
            Kind::Slot => write!(f, "slot {}", self.0.number),
            Kind::Sorted => write!(f, "sorted pieces, number {}", self.0.number),
            Kind::OpenMarker => write!(f, "the mark that the session was opened"),
            Kind::Fence => write!(f, "a fence in place of slot {}", self.0.number),
            Kind::Pages => write!(f, "pages of references, number {}", self.0.number),
        }
    }
}

/// Reads the header of the body that begins at `origin` of the file.
pub(super) fn header(body: &[u8], origin: u64) -> Result<Header, Stop> {
    Header::decode(body).map_err(|error| match error {
        Error::Malformed { .. } => stop(error, origin + MAGIC_BYTES),
        _ => stop(error, origin),
    })
}

/// Prints what the body at `origin` of the file holds, and checks all of it.
pub(super) fn print_contents(
    page: &mut Page<'_>,
    depth: usize,
    body: &Bytes,
    origin: u64,
) -> Result<Contents, Stop> {
    let directory = directory(body, origin)?;
    let mut contents = Contents::default();
    for chunk in &directory.chunks {
        let index_at = origin.saturating_add(chunk.index.at);
        let batches = directory.batches(body, chunk).map_err(|error| stop(error, index_at))?;
        print_chunk(page, depth, origin, chunk, batches.len())?;
        let mut at = chunk.data.at;
        for entry in &batches {
            let header = batch(body, at, origin, chunk, entry)?;
            if page.batches {
                print_batch(page, depth + 1, origin.saturating_add(at), &header)?;
            }
            at += u64::from(entry.bytes);
        }
        contents.add(Contents {
            chunks: 1,
            batches: batches.len() as u64,
            bytes: u64::from(chunk.data.len),
        });
    }
    sum_is_right(body, origin, &directory)?;
    if header(body, origin)? != *directory.header() {
        return Err(Stop::bad(origin, "header and footer name different writers"));
    }
    Ok(contents)
}

fn directory(body: &[u8], origin: u64) -> Result<Directory, Stop> {
    let footer_at = origin + body.len().saturating_sub(FOOTER_BYTES) as u64;
    let place = Directory::place(body).map_err(|error| match error {
        Error::NewerVersion(_) => stop(error, footer_at + VERSION_AT),
        _ => stop(error, footer_at),
    })?;
    let at = origin.saturating_add(place.at);
    Directory::of_body(body).map_err(|error| stop(error, at))
}

/// Each batch has been checked by then: this finds a header or a sum that was written wrong.
fn sum_is_right(body: &[u8], origin: u64, directory: &Directory) -> Result<(), Stop> {
    let data = usize::try_from(directory.data_len()).ok().and_then(|len| body.get(..len));
    let stored = directory.data_crc();
    match data.map(weir_protocol::records::crc32c) {
        Some(computed) if computed == stored => Ok(()),
        _ => Err(Stop::bad(origin, "header and chunks fail the checksum in the footer")),
    }
}

/// Reads the batch at `at` of the body and holds it against its index entry.
fn batch(
    body: &Bytes,
    at: u64,
    origin: u64,
    chunk: &Chunk,
    entry: &BatchEntry,
) -> Result<BatchHeader, Stop> {
    let place = origin.saturating_add(at);
    let bad = |what: String| Stop::bad(place, what);
    let (from, len) = (usize::try_from(at).unwrap_or(usize::MAX), entry.bytes as usize);
    let to = from.saturating_add(len);
    if to > body.len() {
        return Err(bad("a batch lies outside the object".to_owned()));
    }
    let bytes = body.slice(from..to);
    let file_at = usize::try_from(place).unwrap_or(usize::MAX);
    let header = BatchHeader::parse(&bytes, file_at).map_err(|error| bad(error.to_string()))?;
    let (base, last) = (entry.base, entry.last);
    let indexed = BatchFlags(entry.flags.0 & !BatchFlags::COMMIT.0);
    let differs = BatchEntry::from(&header) != BatchEntry { flags: indexed, ..*entry };
    if differs || header.leader_epoch != chunk.epoch {
        return Err(bad(format!(
            "the header of the batch of offsets {base} to {last} is not what its index says"
        )));
    }
    let whole = Batch::parse(bytes).map_err(|error| bad(error.to_string()))?;
    whole.verify().map_err(|crc| bad(format!("the batch of offsets {base} to {last}: {crc}")))?;
    Ok(header)
}

fn print_chunk(
    page: &mut Page<'_>,
    depth: usize,
    origin: u64,
    chunk: &Chunk,
    batches: usize,
) -> Result<(), Stop> {
    let Chunk { partition, epoch, base, last, max_timestamp, data, .. } = chunk;
    let (len, at, newest) = (data.len, origin.saturating_add(data.at), Utc(*max_timestamp));
    let batches = Count(batches as u64, "batch", "batches");
    page.line(
        depth,
        format_args!(
            "{partition}: epoch {epoch}, offsets {base} to {last}, {batches}, \
             {len} bytes at {at}, newest {newest}"
        ),
    )
}

fn print_batch(
    page: &mut Page<'_>,
    depth: usize,
    at: u64,
    header: &BatchHeader,
) -> Result<(), Stop> {
    let (base, last) = (header.base_offset, header.last_offset());
    let records = Count(u64::try_from(header.record_count).unwrap_or(0), "record", "records");
    let (len, marks) = (header.size(), Marks(header.attributes));
    let (first, newest) = (Utc(header.base_timestamp), Utc(header.max_timestamp));
    let producer = Producer(header);
    page.line(
        depth,
        format_args!(
            "offsets {base} to {last}: {records}, {len} bytes at {at}, {marks}{producer}, \
             first {first}, newest {newest}"
        ),
    )
}

/// How a batch is compressed and what is special about it.
struct Marks(Attributes);

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.compression() {
            Some(codec) => write!(f, "compression {}", codec.name())?,
            None => write!(f, "compression {} (unknown)", self.0.codec_id())?,
        }
        if self.0.is_transactional() {
            f.write_str(", transactional")?;
        }
        if self.0.is_control() {
            f.write_str(", control")?;
        }
        Ok(())
    }
}

/// Who wrote a batch, if that is known.
struct Producer<'a>(&'a BatchHeader);

impl fmt::Display for Producer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.0;
        if !header.has_producer() {
            return Ok(());
        }
        let (id, epoch) = (header.producer_id, header.producer_epoch);
        let (first, last) = (header.base_sequence, header.last_sequence());
        write!(f, ", producer {id} epoch {epoch} sequences {first} to {last}")
    }
}

/// The error of a piece that begins at `at` of the file.
fn stop(error: Error, at: u64) -> Stop {
    match error {
        Error::NewerVersion(version) => Stop::Newer { at, version },
        Error::Malformed { part, error } => {
            Stop::bad(at + error.at as u64, format!("{part}: {}", error.what))
        }
        error => Stop::bad(at, error.to_string()),
    }
}

/// How much a body holds.
#[derive(Default)]
pub(super) struct Contents {
    chunks: u64,
    batches: u64,
    bytes: u64,
}

impl Contents {
    pub(super) fn add(&mut self, other: Self) {
        self.chunks += other.chunks;
        self.batches += other.batches;
        self.bytes += other.bytes;
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chunks = Count(self.chunks, "chunk", "chunks");
        let batches = Count(self.batches, "batch", "batches");
        write!(f, "{chunks}, {batches}, {} bytes of records", self.bytes)
    }
}
