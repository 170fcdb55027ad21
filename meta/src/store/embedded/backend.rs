//! Where redb's bytes go: behind the header page of our file, and only once we trust them.
//!
//! ```text
//! 0      "weir metadata, format 1\n", then zeros       (see `header`)
//! 4096   redb's own pages
//! ```
//!
//! redb writes as soon as it opens a file: it marks it open, and repairs it after a crash. A file
//! that turns out to be damaged must stay as it was found, and one on a full disk must still be
//! readable. So a backend begins by *holding*: writes stay in memory, reads see them. When the
//! contents have been verified, [`Backend::release`] writes them out, pages first and redb's header
//! last, each synced, so that a crash meanwhile leaves the old state.
//!
//! It also remembers how redb failed, which redb's error does not tell: a write for which there
//! was no room heals, a failed sync never does (the kernel may have dropped the pages that it could
//! not write, so whatever is read afterwards proves nothing).

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{device::Device, error::is_full, header};

/// The unit of what is held back; also the size of redb's pages.
const PAGE_BYTES: u64 = 4096;

/// How a file has failed so far, worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) enum Failure {
    #[default]
    None,
    /// There was no room for a write.
    Full,
    /// A write or sync failed otherwise: what is on the disk is not known.
    Broken,
}

/// redb's view of the file. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    device: Arc<dyn Device>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What was written while holding; `None` once released.
    held: Option<Held>,
    failure: Failure,
}

/// Pages by number, over the file's own; `len` is that of redb's part.
#[derive(Debug, Default)]
struct Held {
    pages: BTreeMap<u64, Box<[u8]>>,
    len: u64,
}

impl Backend {
    /// A backend that holds writes back.
    pub(super) fn holding(device: Arc<dyn Device>) -> io::Result<Self> {
        let len = device.len()?.saturating_sub(header::BYTES);
        let held = Some(Held { pages: BTreeMap::new(), len });
        let state = State { held, failure: Failure::None };
        Ok(Self { device, state: Arc::new(Mutex::new(state)) })
    }

    /// Writes out what was held back; from then on, writes go to the file at once. After an error,
    /// everything is still held and it can be tried again.
    pub(super) fn release(&self) -> io::Result<()> {
        let mut state = self.lock();
        let Some(held) = &state.held else { return Ok(()) };
        let written = held.write_to(&*self.device);
        match written {
            Ok(()) => state.held = None,
            Err(error) => return state.fail(error),
        }
        Ok(())
    }

    /// How the file has failed since the last time this was asked, if there was only a lack of
    /// room; anything worse stays.
    pub(super) fn take_failure(&self) -> Failure {
        let mut state = self.lock();
        let failure = state.failure;
        if failure == Failure::Full {
            state.failure = Failure::None;
        }
        failure
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes a failed write.
    fn fail<T>(&mut self, error: io::Error) -> io::Result<T> {
        let failure = if is_full(&error) { Failure::Full } else { Failure::Broken };
        self.failure = self.failure.max(failure);
        Err(error)
    }
}

impl Held {
    /// The held page `number`, made from the file's if need be.
    fn page(&mut self, number: u64, device: &dyn Device) -> io::Result<&mut [u8]> {
        let page = match self.pages.entry(number) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let mut page = vec![0; PAGE_BYTES as usize].into_boxed_slice();
                read_padded(device, header::BYTES + number * PAGE_BYTES, &mut page)?;
                entry.insert(page)
            }
        };
        Ok(page)
    }

    fn write_to(&self, device: &dyn Device) -> io::Result<()> {
        if self.pages.is_empty() {
            return Ok(());
        }
        device.set_len(header::BYTES + self.len)?;
        for (number, page) in self.pages.range(1..) {
            let start = number * PAGE_BYTES;
            let inside = self.len.saturating_sub(start).min(PAGE_BYTES) as usize;
            device.write_at(header::BYTES + start, &page[..inside])?;
        }
        device.sync()?;
        if let Some(first) = self.pages.get(&0) {
            device.write_at(header::BYTES, first)?;
            device.sync()?;
        }
        Ok(())
    }
}

/// Reads, with zeros for what is behind the end.
fn read_padded(device: &dyn Device, offset: u64, out: &mut [u8]) -> io::Result<()> {
    let inside = device.len()?.saturating_sub(offset).min(out.len() as u64) as usize;
    out[inside..].fill(0);
    if inside == 0 { Ok(()) } else { device.read_at(offset, &mut out[..inside]) }
}

/// The parts of `offset..offset + len` page by page: number, range in the page, range in the whole.
fn pages(
    offset: u64,
    len: usize,
) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let start = (at % PAGE_BYTES) as usize;
        let part = (PAGE_BYTES as usize - start).min(len - done);
        let whole = done..done + part;
        done += part;
        Some((at / PAGE_BYTES, start..start + part, whole))
    })
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        match &self.lock().held {
            Some(held) => Ok(held.len),
            None => Ok(self.device.len()?.saturating_sub(header::BYTES)),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        let Some(held) = &state.held else {
            return self.device.read_at(header::BYTES + offset, out);
        };
        if offset.saturating_add(out.len() as u64) > held.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, inside, whole) in pages(offset, out.len()) {
            match held.pages.get(&number) {
                Some(page) => out[whole].copy_from_slice(&page[inside]),
                None => {
                    let at = header::BYTES + offset + whole.start as u64;
                    read_padded(&*self.device, at, &mut out[whole])?;
                }
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.lock();
        let Some(held) = &mut state.held else {
            let set = self.device.set_len(header::BYTES + len);
            return set.or_else(|error| state.fail(error));
        };
        if len < held.len {
            held.pages.retain(|number, _| number * PAGE_BYTES < len);
        }
        held.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.lock();
        if state.held.is_some() {
            return Ok(());
        }
        self.device.sync().inspect_err(|_| state.failure = Failure::Broken)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        let Some(held) = &mut state.held else {
            let written = self.device.write_at(header::BYTES + offset, data);
            return written.or_else(|error| state.fail(error));
        };
        for (number, inside, whole) in pages(offset, data.len()) {
            held.page(number, &*self.device)?[inside].copy_from_slice(&data[whole]);
        }
        Ok(())
    }
}
