//! Puts the checksums of stored files right after a fuzzer has changed them.
//!
//! Otherwise a changed file gets no further than its first checksum. What a real file can hold that
//! has right sums and makes no sense was written by a defect, or by somebody who means harm. The
//! layouts are those that `weir-segment-store` documents; lengths that would lead out of the file
//! are left as they are.

use weir_protocol::records::crc32c;
use weir_segment_store::{
    checkpoint,
    journal::file::{FILE_HEADER_BYTES, FILE_MAGIC},
    object::{self, Directory},
};

/// Puts all checksums of `file` right, as far as it can be read. False if it is no file of Weir's.
pub fn put_right(file: &mut [u8]) -> bool {
    match file.first_chunk::<8>() {
        Some(&FILE_MAGIC) => put_right_log(file),
        Some(&object::HEADER_MAGIC) => put_right_object(file),
        Some(&checkpoint::MAGIC) => {
            put_right_piece(file);
        }
        _ => return false,
    }
    true
}

/// Writes the sum of all but the last four bytes into these.
fn put_right_piece(bytes: &mut [u8]) {
    if let Some((content, sum)) = bytes.split_last_chunk_mut::<4>() {
        *sum = crc32c(content).to_le_bytes();
    }
}

fn put_right_log(file: &mut [u8]) {
    let Some(header) = file.get_mut(..FILE_HEADER_BYTES) else { return };
    put_right_piece(header);
    let (number, nonce) = (u32_at(header, 12), u64_at(header, 40));
    let mut at = FILE_HEADER_BYTES;
    while let Some(end) = put_right_frame(file, at, number, nonce) {
        at = end;
    }
}

/// Puts the frame at `at` right and says where the next one begins.
fn put_right_frame(file: &mut [u8], at: usize, number: u32, nonce: u64) -> Option<usize> {
    const HEADER: usize = 64;
    let frame = file.get_mut(at..)?;
    if !frame.starts_with(b"WFRM") || frame.len() < HEADER {
        return None;
    }
    let (head, rest) = frame.split_at_mut(HEADER);
    let len = usize::try_from(u64_at(head, 16)).ok()?;
    let body = rest.get_mut(..len)?;
    if body.starts_with(&object::HEADER_MAGIC) {
        put_right_object(body);
    }
    head[36..40].copy_from_slice(&crc32c(body).to_le_bytes());
    let mut summed = [0; HEADER];
    summed[..40].copy_from_slice(&head[..40]);
    summed[40..48].copy_from_slice(&nonce.to_le_bytes());
    summed[48..52].copy_from_slice(&number.to_le_bytes());
    summed[52..60].copy_from_slice(&(at as u64).to_le_bytes());
    head[40..44].copy_from_slice(&crc32c(&summed).to_le_bytes());
    head[44..].fill(0);
    at.checked_add(HEADER)?.checked_add(len)?.checked_next_multiple_of(HEADER)
}

fn put_right_object(body: &mut [u8]) {
    let least = object::HEADER_BYTES + object::FOOTER_BYTES;
    if body.len() < least {
        return;
    }
    put_right_piece(&mut body[..object::HEADER_BYTES]);
    let footer = body.len() - object::FOOTER_BYTES;
    let head: [u8; object::HEADER_BYTES] = body[..object::HEADER_BYTES].try_into().unwrap_or([0; 64]);
    body[footer..footer + object::HEADER_BYTES].copy_from_slice(&head);
    let places = footer + object::HEADER_BYTES;
    // Lengths follow from the place of the directory, so that changed files fit together.
    let directory = u64_at(body, places).min(footer as u64) as usize;
    let len = body.len() as u64;
    body[places..places + 8].copy_from_slice(&(directory as u64).to_le_bytes());
    body[places + 8..places + 12].copy_from_slice(&((footer - directory) as u32).to_le_bytes());
    body[places + 16..places + 24].copy_from_slice(&len.to_le_bytes());
    put_right_piece(&mut body[directory..footer]);
    put_right_piece(&mut body[footer..]);
    if let Ok(directory) = Directory::of_body(body) {
        directory.chunks.iter().for_each(|chunk| put_right_chunk(body, &directory, chunk));
        let data = crc32c(&body[..directory.data_len() as usize]);
        body[places + 12..places + 16].copy_from_slice(&data.to_le_bytes());
        put_right_piece(&mut body[footer..]);
    }
}

fn put_right_chunk(body: &mut [u8], directory: &Directory, chunk: &object::Chunk) {
    let index = chunk.index.at as usize;
    put_right_piece(&mut body[index..index + chunk.index.len as usize]);
    let Ok(batches) = directory.batches(body, chunk) else { return };
    let mut at = chunk.data.at as usize;
    for entry in batches {
        let end = at + entry.bytes as usize;
        let crc = crc32c(&body[at + 21..end]);
        body[at + 17..at + 21].copy_from_slice(&crc.to_be_bytes());
        at = end;
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}
