//! The four codecs of Kafka, both ways.
//!
//! Decompression is where a few bytes from a client can turn into gigabytes, so every call says
//! how many bytes it may yield and stops there ([`Error::TooLarge`]). Decoders stream into a buffer
//! that grows with what really came out, never by what a header claims; beside it a decoder holds
//! at most its window: gzip 32 KiB, lz4 16 MiB, zstd 128 MiB, in memory that is touched only as far as
//! there is output.
//!
//! Input in several pieces is taken as the Java client takes it: gzip members and zstd frames are
//! joined, of lz4 frames only the first counts, snappy may be chunked, chunked several times over,
//! or bare.

mod snappy;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};

use bytes::Bytes;

use super::attributes::Compression;

/// The buffer of a decoder starts with this many bytes and doubles from there.
const FIRST_STEP_BYTES: usize = 4096;

/// Why a block of records could not be decompressed or compressed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is more than the caller allows.
    #[error(
        "{} block of {compressed_bytes} bytes expands to more than the allowed {max_bytes} bytes",
        codec.name()
    )]
    TooLarge {
        /// The codec.
        codec: Compression,
        /// The size of the compressed block.
        compressed_bytes: usize,
        /// What was allowed.
        max_bytes: usize,
    },
    /// The block is not what the codec produces.
    #[error("{} block of {compressed_bytes} bytes is malformed: {reason}", codec.name())]
    Malformed {
        /// The codec.
        codec: Compression,
        /// The size of the compressed block.
        compressed_bytes: usize,
        /// What the codec says.
        reason: String,
    },
    /// The compressor failed, for lack of memory.
    #[error("{} compression failed: {reason}", codec.name())]
    Compress {
        /// The codec.
        codec: Compression,
        /// What the codec says.
        reason: String,
    },
}

/// Why a decoder stopped, before the error is dressed with codec and size.
enum Stop {
    Cap,
    Malformed(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Decompresses a block of records into at most `max_bytes`. Without a codec it is the block
/// itself, whatever its size: nothing expands.
///
/// # Errors
/// If the block is malformed or holds more.
pub fn decompress(codec: Compression, block: &Bytes, max_bytes: usize) -> Result<Bytes, Error> {
    let input = &block[..];
    let output = match codec {
        Compression::None => return Ok(block.clone()),
        Compression::Gzip => drain(flate2::bufread::MultiGzDecoder::new(input), max_bytes),
        Compression::Snappy => snappy::decompress(input, max_bytes),
        Compression::Lz4 => drain(lz4_flex::frame::FrameDecoder::new(input), max_bytes),
        Compression::Zstd => zstd::Decoder::with_buffer(input)
            .map_err(Stop::from)
            .and_then(|decoder| drain(decoder, max_bytes)),
    };
    let compressed_bytes = block.len();
    match output {
        Ok(output) => Ok(output.into()),
        Err(Stop::Cap) => Err(Error::TooLarge { codec, compressed_bytes, max_bytes }),
        Err(Stop::Malformed(reason)) => Err(Error::Malformed { codec, compressed_bytes, reason }),
    }
}

/// Compresses a block of records at the codec's usual level.
///
/// # Errors
/// If the codec gets no memory.
pub fn compress(codec: Compression, block: Vec<u8>) -> Result<Vec<u8>, Error> {
    let output = match codec {
        Compression::None => return Ok(block),
        Compression::Gzip => gzip(&block),
        Compression::Snappy => snappy::compress(&block),
        Compression::Lz4 => lz4(&block),
        Compression::Zstd => zstd::encode_all(&block[..], zstd::DEFAULT_COMPRESSION_LEVEL),
    };
    output.map_err(|error| Error::Compress { codec, reason: error.to_string() })
}

fn gzip(block: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(block)?;
    encoder.finish()
}

fn lz4(block: &[u8]) -> io::Result<Vec<u8>> {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    // The Java client reads independent blocks only.
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(block)?;
    Ok(encoder.finish()?)
}

/// Reads all that `decoder` yields, if it is at most `max_bytes`.
fn drain(mut decoder: impl Read, max_bytes: usize) -> Result<Vec<u8>, Stop> {
    let mut output = Vec::new();
    loop {
        let room = output.len().max(FIRST_STEP_BYTES).min(max_bytes - output.len());
        if room == 0 {
            return match decoder.read(&mut [0])? {
                0 => Ok(output),
                _ => Err(Stop::Cap),
            };
        }
        // `take` ends the read when the room is used up, so the buffer never grows by itself.
        output.reserve_exact(room);
        let read = decoder.by_ref().take(room as u64).read_to_end(&mut output)?;
        if read < room {
            return Ok(output);
        }
    }
}
