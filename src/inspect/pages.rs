//! An object of pages: a block for each page, a line for each entry.

use weir_segment_store::{
    Reference,
    object::HEADER_BYTES,
    pages::{DecodeError, Entries, PageRef, decode},
};

use super::{
    checkpoint::print_reference,
    page::{Count, Page, Stop},
    utc::Utc,
};

/// Bytes of the length before a page, which does not count itself.
const LENGTH_BYTES: usize = 4;

/// Prints the pages behind the header.
pub(super) fn print(page: &mut Page<'_>, bytes: &[u8]) -> Result<(), Stop> {
    let (mut at, mut pages, mut references) = (HEADER_BYTES, 0, 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let len = rest.first_chunk::<LENGTH_BYTES>().map(|len| u32::from_le_bytes(*len) as usize);
        let end = len.and_then(|len| len.checked_add(LENGTH_BYTES));
        let piece = end.and_then(|end| rest.get(..end));
        let piece = piece.ok_or_else(|| Stop::bad(at as u64, "a page that is cut"))?;
        references += print_page(page, at as u64, piece)?;
        (at, pages) = (at + piece.len(), pages + 1);
    }
    let (pages, references) =
        (Count(pages, "page", "pages"), Count(references, "reference", "references"));
    page.line(0, format_args!("{pages}, {references}, all as written"))
}

/// Prints one page, and returns how many references it lists itself.
fn print_page(page: &mut Page<'_>, at: u64, bytes: &[u8]) -> Result<u64, Stop> {
    let decoded = decode(bytes).map_err(|error| stop(&error, at))?;
    let (partition, len) = (decoded.partition, bytes.len());
    match &decoded.entries {
        Entries::References(references) => {
            let count = references.len() as u64;
            let what = Count(count, "reference", "references");
            page.line(0, format_args!("{partition}: {what}, {len} bytes at {at}"))?;
            let mut print = |reference: &Reference| print_reference(page, reference);
            references.iter().try_for_each(&mut print)?;
            Ok(count)
        }
        Entries::Pages(pages) => {
            let what = Count(pages.len() as u64, "page below", "pages below");
            page.line(0, format_args!("{partition}: {what}, {len} bytes at {at}"))?;
            pages.iter().try_for_each(|below| print_ref(page, below))?;
            Ok(0)
        }
    }
}

/// Prints a reference to a page.
pub(super) fn print_ref(page: &mut Page<'_>, at: &PageRef) -> Result<(), Stop> {
    let PageRef { object, place, level, base, last, max_timestamp, bytes } = at;
    let newest = Utc(*max_timestamp);
    page.line(
        1,
        format_args!(
            "offsets {base} to {last}: page of level {level}, {} bytes at {} of {object}, lists \
             {bytes} bytes of records, newest {newest}",
            place.len, place.at
        ),
    )
}

fn stop(error: &DecodeError, at: u64) -> Stop {
    match error {
        // Positions are counted from behind the length and the magic.
        DecodeError::Malformed(error) => {
            Stop::bad(at + 2 * LENGTH_BYTES as u64 + error.at as u64, error.what)
        }
        error => Stop::bad(at, error.to_string()),
    }
}
