//! The change from one file to the next: the next one is made ready, and the last one is closed, beside the writes to
//! the file between them. At full load a file is full after seconds, and whoever waits for a record would wait for its
//! change, too.
//!
//! There is no task for it: it goes on whenever somebody writes, or waits until files are closed.
//!
//! Invariants:
//! - At most one file is made ahead, and its number is one above the last that is surely there.
//! - It has no whole header, so that it counts for nothing until it is gone on in.

use std::{future::pending, pin::pin};

use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered},
};
use tokio::select;
use weir_ids::{SessionId, Slot};

use super::{
    AppendFile, AppendJournal, FileError, path,
    writer::{OpenFile, within},
};
use crate::journal::frame::{FileHeader, Identity};

/// A file that was made to be the next.
pub(super) struct Made {
    pub(super) number: u32,
    /// It has the start of its header and nothing else; absent if that failed.
    pub(super) file: Option<Box<dyn AppendFile>>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Changeover {
    making: Option<BoxFuture<'static, Result<Made, FileError>>>,
    made: Option<Made>,
    closing: FuturesUnordered<BoxFuture<'static, Option<u32>>>,
    /// Files that are not known to be closed, with their first slots.
    unclosed: Vec<(u32, Slot)>,
}

impl Changeover {
    /// Does `work`, and meanwhile what there is to do for the change.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let Self { making, closing, .. } = self;
            let making = async {
                match making {
                    Some(making) => making.await,
                    None => pending().await,
                }
            };
            select! {
                biased;
                made = making => self.is_made(made),
                Some(closed) = closing.next() => self.is_closed(closed),
                done = &mut work => return done,
            }
        }
    }

    /// Makes a file that is to be the next, and writes how its header starts: what takes long is done then.
    pub(super) fn prepare(&mut self, journal: &AppendJournal, identity: Identity, number: u32) {
        if self.making.is_some() || self.made.is_some() {
            return;
        }
        let journal = journal.clone();
        let make = async move {
            let path = path(identity.session, number);
            let mut file = journal.create(identity.session, number).await?;
            let start = async {
                file.append(vec![FileHeader::start(identity, number)]).await?;
                file.sync().await
            };
            let started = within(journal.settings.trial_ms, &path, start).await;
            if let Err(error) = &started {
                tracing::debug!(%error, "a file that was to be the next is left");
            }
            Ok(Made { number, file: started.is_ok().then_some(file) })
        };
        self.making = Some(make.boxed());
    }

    fn is_made(&mut self, made: Result<Made, FileError>) {
        self.making = None;
        match made {
            Ok(made) => self.made = Some(made),
            Err(error) => tracing::debug!(%error, "the next file is made when it is needed"),
        }
    }

    /// What was made to be the next file, if anything was.
    pub(super) async fn next(&mut self) -> Option<Made> {
        if let Some(making) = &mut self.making {
            let made = making.await;
            self.is_made(made);
        }
        self.made.take()
    }

    /// The making of the next file that is under way, for somebody else to go on with.
    pub(super) fn take_making(&mut self) -> Option<BoxFuture<'static, Result<Made, FileError>>> {
        self.making.take()
    }

    /// Takes in what somebody has made, if nothing else has come in its place.
    pub(super) fn put_made(&mut self, made: Result<Made, FileError>, next: Option<u32>) {
        if self.made.is_none() && made.as_ref().is_ok_and(|made| Some(made.number) == next) {
            self.is_made(made);
        }
    }

    /// Leaves what was made to be the next file: a node that fails may be in its pipeline, too. Returns its number, if
    /// it is there.
    pub(super) fn abandon(&mut self) -> Option<u32> {
        self.making = None;
        self.made.take().map(|made| made.number)
    }

    /// A file is begun.
    pub(super) fn begin(&mut self, number: u32, first_slot: Slot) {
        self.unclosed.push((number, first_slot));
    }

    /// Nothing more is written to a file.
    pub(super) fn close(&mut self, journal: &AppendJournal, session: SessionId, full: OpenFile) {
        let journal = journal.clone();
        let close = async move {
            let number = full.number;
            journal.close(session, full).await.then_some(number)
        };
        self.closing.push(close.boxed());
    }

    /// The closing of files that is under way, for somebody else to go on with: yields those that are closed.
    pub(super) fn take_closing(&mut self) -> BoxStream<'static, u32> {
        std::mem::take(&mut self.closing).filter_map(std::future::ready).boxed()
    }

    /// A file is closed, if it could be.
    pub(super) fn is_closed(&mut self, closed: Option<u32>) {
        self.unclosed.retain(|(file, _)| Some(*file) != closed);
    }

    /// Files with slots below `below` that are not known to be closed.
    pub(super) fn unclosed(&self, below: Slot) -> Vec<u32> {
        let unclosed = self.unclosed.iter().filter(|(_, first)| *first < below);
        unclosed.map(|(file, _)| *file).collect()
    }
}
