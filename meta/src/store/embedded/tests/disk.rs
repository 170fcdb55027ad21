//! A disk in memory that runs full, fails to sync, and loses power.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use rustix::io::Errno;
use weir_runtime::{Random, Seeded};

use super::super::device::Device;

/// What survives torn writes whole.
const SECTOR: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Disk {
    bytes: Mutex<Vec<u8>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    limit: Option<u64>,
    sync_fails: bool,
    syncs: u64,
    written_bytes: u64,
    /// Operations left until power is lost.
    power: Option<u64>,
    /// As of the last sync, and what was done since.
    synced: Vec<u8>,
    since: Vec<Done>,
}

#[derive(Debug)]
enum Done {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl Disk {
    pub(super) fn new() -> Arc<Self> {
        Self::with(Vec::new())
    }

    pub(super) fn with(bytes: Vec<u8>) -> Arc<Self> {
        let state = State { synced: bytes.clone(), ..State::default() };
        Arc::new(Self { bytes: Mutex::new(bytes), state: Mutex::new(state) })
    }

    pub(super) fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap()
    }

    pub(super) fn image(&self) -> Vec<u8> {
        self.bytes().clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// No byte behind `limit` can be written.
    pub(super) fn limit(&self, limit: Option<u64>) {
        self.state().limit = limit;
    }

    pub(super) fn fail_sync(&self, fails: bool) {
        self.state().sync_fails = fails;
    }

    pub(super) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    pub(super) fn written_bytes(&self) -> u64 {
        self.state().written_bytes
    }

    /// Everything fails after so many more writes and syncs.
    pub(super) fn lose_power_after(&self, operations: u64) {
        self.state().power = Some(operations);
    }

    /// What the disk holds when power is back: all that was synced, and any part of the rest.
    pub(super) fn after_power_loss(&self, seed: u64) -> Vec<u8> {
        let random = Seeded::new(seed);
        let state = self.state();
        let mut bytes = state.synced.clone();
        for done in &state.since {
            match done {
                Done::SetLen(len) if !random.next_u64().is_multiple_of(4) => {
                    bytes.resize(*len as usize, 0)
                }
                Done::SetLen(_) => {}
                Done::Write(offset, data) => {
                    for (n, sector) in data.chunks(SECTOR).enumerate() {
                        let at = *offset as usize + n * SECTOR;
                        if random.next_u64().is_multiple_of(2) {
                            write(&mut bytes, at, sector);
                        }
                    }
                }
            }
        }
        bytes
    }
}

fn write(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

impl State {
    fn spend_power(&mut self) -> io::Result<()> {
        match &mut self.power {
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Device for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.spend_power()?;
        state.since.push(Done::SetLen(len));
        self.bytes().resize(len as usize, 0);
        Ok(())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes();
        let end = offset as usize + out.len();
        let found = bytes.get(offset as usize..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.spend_power()?;
        if state.limit.is_some_and(|limit| offset + data.len() as u64 > limit) {
            return Err(Errno::NOSPC.into());
        }
        state.written_bytes += data.len() as u64;
        state.since.push(Done::Write(offset, data.to_vec()));
        write(&mut self.bytes(), offset as usize, data);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.spend_power()?;
        if state.sync_fails {
            return Err(Errno::IO.into());
        }
        state.syncs += 1;
        state.since.clear();
        state.synced = self.image();
        Ok(())
    }
}
