//! Damage to a write-ahead log, by hand and while its server is down.
//!
//! Reads the layout of `segment-store/src/journal/file/frame.rs` by itself, as little of it as is
//! needed to find where frames begin and end.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::chance::Chance;

const FILE_HEADER: u64 = 128;
const FRAME_HEADER: u64 = 64;
const ALIGN: u64 = 64;
const FRAME_MAGIC: &[u8] = b"WFRM";

/// Damage that a crash can do: to what was being written and not yet synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// Bytes of no meaning follow the last frame.
    Garbage,
    /// Half of a frame follows the last frame.
    HalfFrame,
}

/// The frames of one file.
#[derive(Debug)]
pub struct Frames {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Where each frame begins and its body ends.
    frames: Vec<(u64, u64)>,
}

impl Frames {
    /// The frames of the newest file that has any, below `data/wal`.
    ///
    /// # Errors
    /// When there is none.
    pub fn newest(data: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for session in fs::read_dir(data.join("wal")).context("no write-ahead log")? {
            for file in fs::read_dir(session?.path())? {
                let path = file?.path();
                if path.extension().is_some_and(|extension| extension == "wal") {
                    files.push((fs::metadata(&path)?.modified()?, path));
                }
            }
        }
        files.sort();
        while let Some((_, path)) = files.pop() {
            let bytes = fs::read(&path)?;
            let frames = frames(&bytes);
            if !frames.is_empty() {
                return Ok(Self { path, bytes, frames });
            }
        }
        anyhow::bail!("no frame in any file below {}", data.join("wal").display())
    }

    /// The number of frames.
    pub fn count(&self) -> usize {
        self.frames.len()
    }

    /// Where the last frame ends, aligned as the next would be.
    fn end(&self) -> u64 {
        self.frames.last().map_or(FILE_HEADER, |(_, end)| end.next_multiple_of(ALIGN))
    }

    /// Leaves what a crash in the middle of a write leaves behind the last frame.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn tear(&self, how: Tear, chance: &mut Chance) -> Result<()> {
        let torn = match how {
            Tear::Garbage => {
                let count = usize::try_from(1 + chance.below(5_000))?;
                chance.bytes(count)
            }
            Tear::HalfFrame => {
                let (start, end) = *self.frames.last().context("no frame")?;
                let half = start + FRAME_HEADER.max((end - start) / 2);
                self.bytes[usize::try_from(start)?..usize::try_from(half)?].to_vec()
            }
        };
        self.write(self.end(), &torn)
    }

    /// Cuts the file in the middle of the last body, as if the machine had stopped while that was
    /// written. Frames without a body that follow it only say that it was synced.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn cut_last(&self) -> Result<()> {
        let (start, end) = self.bodies().next_back().context("no frame with a body")?;
        let keep = FRAME_HEADER + (end - start - FRAME_HEADER) / 2;
        File::options().write(true).open(&self.path)?.set_len(start + keep)?;
        Ok(())
    }

    /// Flips a bit in the body of a frame with other frames behind it: bytes that were synced.
    ///
    /// # Errors
    /// When there are too few frames to choose from.
    pub fn flip(&self, chance: &mut Chance) -> Result<()> {
        let bodies: Vec<(u64, u64)> = self.bodies().collect();
        let early = &bodies[..bodies.len() / 2];
        ensure!(!early.is_empty(), "{} frames are too few", bodies.len());
        let (start, end) = early[usize::try_from(chance.below(early.len() as u64))?];
        let at = start + FRAME_HEADER + chance.below(end - start - FRAME_HEADER);
        let flipped = self.bytes[usize::try_from(at)?] ^ 0x10;
        self.write(at, &[flipped])
    }

    /// The frames with a body.
    fn bodies(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> {
        self.frames.iter().copied().filter(|(start, end)| *end > start + FRAME_HEADER)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let file = File::options().write(true).open(&self.path)?;
        file.write_all_at(bytes, at).with_context(|| format!("{}", self.path.display()))
    }
}

/// Walks the frames of a file; none when it is not of the expected form.
fn frames(bytes: &[u8]) -> Vec<(u64, u64)> {
    let mut frames = Vec::new();
    let mut at = FILE_HEADER;
    while let Some(end) = frame_end(bytes, at) {
        frames.push((at, end));
        at = end.next_multiple_of(ALIGN);
    }
    frames
}

fn frame_end(bytes: &[u8], at: u64) -> Option<u64> {
    let header = bytes.get(usize::try_from(at).ok()?..)?.get(..24)?;
    let body = u64::from_le_bytes(header[16..24].try_into().ok()?);
    let end = at.checked_add(FRAME_HEADER)?.checked_add(body)?;
    (header.starts_with(FRAME_MAGIC) && end <= bytes.len() as u64).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 64];
        frame[..4].copy_from_slice(FRAME_MAGIC);
        frame[16..24].copy_from_slice(&(body.len() as u64).to_le_bytes());
        frame.extend_from_slice(body);
        frame.resize(frame.len().next_multiple_of(64), 0);
        frame
    }

    fn log() -> (tempfile::TempDir, PathBuf) {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("wal/1");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("1.wal");
        let bodies: [&[u8]; 4] = [&[1; 10], &[2; 100], &[3; 64], &[]];
        let mut bytes = vec![0; 128];
        bodies.iter().for_each(|body| bytes.extend(frame(body)));
        bytes.resize(8192, 0);
        fs::write(&path, bytes).unwrap();
        (data, path)
    }

    #[test]
    fn frames_are_found() {
        let (data, _) = log();
        let frames = Frames::newest(data.path()).unwrap();
        assert_eq!(frames.frames, [(128, 202), (256, 420), (448, 576), (576, 640)]);
    }

    #[test]
    fn a_tear_touches_nothing_before_the_end() {
        for how in [Tear::Garbage, Tear::HalfFrame] {
            let (data, path) = log();
            let before = fs::read(&path).unwrap();
            Frames::newest(data.path()).unwrap().tear(how, &mut Chance::new(1)).unwrap();
            let after = fs::read(&path).unwrap();
            assert_eq!(before[..640], after[..640]);
            assert_ne!(before[640..], after[640..]);
        }
    }

    #[test]
    fn a_cut_halves_the_last_body_and_a_flip_changes_an_early_byte() {
        let (data, path) = log();
        let frames = Frames::newest(data.path()).unwrap();
        frames.cut_last().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 448 + 64 + 32);
        let before = fs::read(&path).unwrap();
        frames.flip(&mut Chance::new(7)).unwrap();
        let after = fs::read(&path).unwrap();
        let changed: Vec<usize> = (0..before.len()).filter(|i| before[*i] != after[*i]).collect();
        assert!(matches!(changed[..], [at] if (192..202).contains(&at)), "{changed:?}");
    }
}
