//! Framings that other writers use, and what may be wrong with a block.

use super::*;

const MAX_BYTES: usize = 1 << 20;

fn text() -> Vec<u8> {
    (0..20_000).flat_map(|i| format!("{} ", i / 7).into_bytes()).collect()
}

fn read(codec: Compression, block: impl Into<Bytes>) -> Result<Bytes, Error> {
    decompress(codec, &block.into(), MAX_BYTES)
}

fn compressed(codec: Compression, text: &[u8]) -> Vec<u8> {
    compress(codec, text.to_vec()).unwrap()
}

#[test]
fn bare_snappy_is_one_block() {
    let bare = snap::raw::Encoder::new().compress_vec(&text()).unwrap();
    assert_eq!(read(Compression::Snappy, bare).unwrap(), text());
}

#[test]
fn snappy_streams_may_follow_each_other() {
    let one = compressed(Compression::Snappy, &text());
    let two = read(Compression::Snappy, one.repeat(2)).unwrap();
    assert_eq!(two, text().repeat(2));
    // The header alone, as the Java library writes it for no data.
    assert_eq!(read(Compression::Snappy, one[..16].to_vec()).unwrap(), "");
}

#[test]
fn gzip_members_and_zstd_frames_are_joined() {
    for codec in [Compression::Gzip, Compression::Zstd] {
        let one = compressed(codec, &text());
        assert_eq!(read(codec, one.repeat(3)).unwrap(), text().repeat(3));
    }
}

#[test]
fn of_lz4_frames_only_the_first_counts() {
    let two = compressed(Compression::Lz4, &text()).repeat(2);
    assert_eq!(read(Compression::Lz4, two).unwrap(), text());
}

#[test]
fn lz4_with_every_option_is_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    let info = FrameInfo::new()
        .block_mode(BlockMode::Linked)
        .block_size(BlockSize::Max4MB)
        .block_checksums(true)
        .content_checksum(true)
        .content_size(Some(text().len() as u64));
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(&text()).unwrap();
    assert_eq!(read(Compression::Lz4, encoder.finish().unwrap()).unwrap(), text());
}

#[test]
fn another_codecs_block_is_malformed() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        for other in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
            let outcome = read(codec, compressed(other, &text()));
            assert_eq!(outcome.is_ok(), codec == other, "{} as {}", other.name(), codec.name());
        }
    }
}

#[test]
fn cut_snappy_chunks_are_malformed() {
    let whole = compressed(Compression::Snappy, &text());
    for cut in [17, 19, 20, 100, whole.len() - 1] {
        let error = read(Compression::Snappy, whole[..cut].to_vec()).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "cut at {cut}: {error}");
    }
}

#[test]
fn errors_say_which_codec_and_what_was_allowed() {
    let block = Bytes::from(compressed(Compression::Gzip, &text()));
    let error = decompress(Compression::Gzip, &block, 100).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("gzip block of {} bytes expands to more than the allowed 100 bytes", block.len())
    );
}
