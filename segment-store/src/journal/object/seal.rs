//! Ending a session: a fence in the first slot that is absent.

use bytes::Bytes;
use futures::{StreamExt, future, stream};
use weir_ids::{SessionId, Slot};
use weir_runtime::planted::{Bug, is_planted};

use super::{
    FORGOTTEN, ObjectJournal, corrupt, name,
    put::{Body, Landing},
    unavailable,
};
use crate::{
    ObjectName, StoreError,
    journal::{Error, Sealed, Slots, StoredSlot},
    name::slots_of,
    object::{self, Directory, End, Kind},
};

/// How often a slot is read that does not read as it should, before it counts as rotten.
const READS_OF_ROT: u32 = 3;

/// What is in the place of a slot.
enum Found {
    Slot(StoredSlot),
    Fence,
    Nothing,
}

impl ObjectJournal {
    /// Reads the slots of `session` from `from` on and fences it where they end. Every slot below the
    /// end has been seen to hold data.
    pub(super) async fn end_session(
        &self,
        session: SessionId,
        from: Slot,
    ) -> Result<Sealed, Error> {
        let untrimmed = is_planted(Bug::SealWithoutTrim) && from != FORGOTTEN;
        let first = if untrimmed { Slot::OPEN.next() } else { from.max(Slot::OPEN.next()) };
        if is_planted(Bug::HoleHiddenByListing) {
            return self.end_behind_listed(session, first).await;
        }
        let mut slots = Vec::new();
        // Reading ahead is harmless: an absent slot is fenced before it counts as absent.
        let ahead = stream::iter(first.0..u64::MAX)
            .map(|slot| self.look(session, Slot(slot)))
            .buffered(self.settings.read_ahead.max(1));
        let mut ahead = std::pin::pin!(ahead);
        let mut end = first;
        while let Some(found) = ahead.next().await {
            match self.settle(session, end, found?).await? {
                Some(slot) => slots.push(slot),
                None => break,
            }
            end = end.next();
        }
        Ok(Sealed { end, slots })
    }

    /// Reads slots that have been answered, without ending the session; `None` if one is gone.
    pub(super) async fn read_slots(
        &self,
        session: SessionId,
        from: Slot,
        below: Slot,
    ) -> Result<Option<Vec<StoredSlot>>, Error> {
        let mut found = stream::iter(from.0..below.0)
            .map(|slot| self.look(session, Slot(slot)))
            .buffered(self.settings.read_ahead.max(1));
        let mut slots = Vec::new();
        while let Some(found) = found.next().await {
            match found? {
                Found::Slot(slot) => slots.push(slot),
                // A slow fencer may find the place of a trimmed slot empty.
                Found::Fence | Found::Nothing => return Ok(None),
            }
        }
        Ok(Some(slots))
    }

    /// Reads slots without ending the session, up to the first that is not there.
    pub(super) fn read_ahead(&self, session: SessionId, from: Slot, below: Slot) -> Slots<'_> {
        let slot = |found| match found {
            Ok(Found::Slot(slot)) => Some(Ok(slot)),
            Ok(Found::Fence | Found::Nothing) => None,
            Err(error) => Some(Err(error)),
        };
        stream::iter(from.0..below.0)
            .map(move |slot| self.look(session, Slot(slot)))
            .buffered(self.settings.read_ahead.max(1))
            .scan((), move |(), found| future::ready(slot(found)))
            .boxed()
    }

    /// Whether there is a fence in `slot`.
    pub(super) async fn has_fence(&self, session: SessionId, slot: Slot) -> Result<bool, Error> {
        Ok(matches!(self.look(session, slot).await?, Found::Fence))
    }

    /// A planted bug: believes a listing.
    async fn end_behind_listed(&self, session: SessionId, first: Slot) -> Result<Sealed, Error> {
        let listed = self.store.list(Some(&slots_of(session))).await;
        let listed = listed.map_err(|error| unavailable(&error))?;
        let (mut slots, mut end) = (Vec::new(), first);
        for (name, _) in listed {
            let ObjectName::WalSlot { slot, .. } = name else { continue };
            if slot >= first
                && let Found::Slot(stored) = self.look(session, slot).await?
            {
                end = end.max(slot.next());
                slots.push(stored);
            }
        }
        slots.sort_by_key(|stored| stored.slot);
        self.settle(session, end, Found::Nothing).await?;
        Ok(Sealed { end, slots })
    }

    /// What `slot` holds for ever; `None` if that is a fence, perhaps a new one.
    async fn settle(
        &self,
        session: SessionId,
        slot: Slot,
        mut found: Found,
    ) -> Result<Option<StoredSlot>, Error> {
        loop {
            match found {
                Found::Slot(stored) => return Ok(Some(stored)),
                Found::Fence => return Ok(None),
                Found::Nothing => {}
            }
            if is_planted(Bug::NoFence) {
                return Ok(None);
            }
            let fence = Body::empty(&self.header(session, slot, Kind::Fence));
            match self.put(&fence, Some(self.retry.attempts_max()), |_| {}).await? {
                Landing::Landed => return Ok(None),
                Landing::Taken(header) if header.kind == Kind::Fence => return Ok(None),
                // The writer was quicker.
                Landing::Taken(_) => found = self.look(session, slot).await?,
            }
        }
    }

    /// Reads what is in the place of a slot.
    async fn look(&self, session: SessionId, slot: Slot) -> Result<Found, Error> {
        let mut reads = 0;
        loop {
            let end = match self.read_end(session, slot).await {
                Ok(end) => end,
                Err(StoreError::NotFound(_)) => return Ok(Found::Nothing),
                Err(error) => return Err(unavailable(&error)),
            };
            reads += 1;
            match self.found(session, slot, end) {
                Ok(found) => return Ok(found),
                Err(what) if reads >= READS_OF_ROT => {
                    return Err(corrupt(name(session, slot), what));
                }
                Err(_) => self.retry.pause(reads).await,
            }
        }
    }

    /// As much of the end of a slot as holds its directory and indexes.
    async fn read_end(
        &self,
        session: SessionId,
        slot: Slot,
    ) -> Result<Result<(Bytes, Directory), object::Error>, StoreError> {
        let name = name(session, slot);
        let mut wanted = self.settings.end_bytes;
        loop {
            let (end, body_len) = self.store.get_end(name, wanted).await?;
            match Directory::of_end(&end, body_len) {
                Ok(End::Read(directory)) => return Ok(Ok((end, directory))),
                Ok(End::Needs(more)) if more > wanted && wanted < body_len => wanted = more,
                Ok(End::Needs(_)) => {
                    let what = "its indexes lie outside it";
                    return Ok(Err(object::Error::NotAnObject(what)));
                }
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// What a slot's end says it is; an error says what is wrong with it.
    fn found(
        &self,
        session: SessionId,
        slot: Slot,
        end: Result<(Bytes, Directory), object::Error>,
    ) -> Result<Found, String> {
        let (end, directory) = end.map_err(|error| error.to_string())?;
        let header = directory.header();
        if (header.cluster, header.session, header.number) != (self.cluster, session, slot.0) {
            return Err("it does not belong where it lies".to_owned());
        }
        match header.kind {
            Kind::Fence => return Ok(Found::Fence),
            Kind::Slot => {}
            Kind::Sorted | Kind::OpenMarker | Kind::Pages => {
                return Err("it is not a slot".to_owned());
            }
        }
        let mut chunks = Vec::with_capacity(directory.chunks.len());
        for chunk in &directory.chunks {
            let batches = directory.batches(&end, chunk).map_err(|error| error.to_string())?;
            chunks.push((*chunk, batches));
        }
        Ok(Found::Slot(StoredSlot { slot, object: name(session, slot), origin: 0, chunks }))
    }
}
