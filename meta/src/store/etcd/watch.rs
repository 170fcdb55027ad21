//! Watches: one stream of etcd's each, begun again where it broke.
//!
//! A watch goes on from the first revision that was not delivered. Etcd keeps the changes of one revision
//! together; a long answer comes in fragments, and then those of its last revision wait for the rest.

use std::time::Duration;

use etcd_client::{
    Client, EventType, KeyValue, WatchOptions, WatchResponse, WatchStream, proto::PbEvent,
};
use tokio::time::sleep;

use super::{Etcd, behind, members::Turn, signed};
use crate::store::{Batch, Event, Revision, StoreError};

/// How long a stream may take to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(5);
/// Pause before a stream that broke is begun again.
const PAUSE: Duration = Duration::from_millis(200);

/// How far a watch has come.
pub(super) struct Place {
    store: Etcd,
    prefix: String,
    /// The first revision that was not delivered.
    from: Revision,
    /// The store had this revision.
    seen: Revision,
    /// Of which member's client it is.
    stream: Option<(Turn, WatchStream)>,
    /// Changes of a revision of which more may come.
    held: Vec<Event>,
    said: bool,
}

impl Place {
    pub(super) fn new(store: Etcd, prefix: &str, from: Revision) -> Self {
        let prefix = format!("{}{prefix}", store.root);
        let (stream, held) = (None, Vec::new());
        Self { store, prefix, from, seen: Revision::NONE, stream, held, said: false }
    }

    /// The next changes.
    pub(super) async fn next(&mut self) -> Result<Batch, StoreError> {
        loop {
            let Some((turn, stream)) = &mut self.stream else {
                self.begin().await?;
                continue;
            };
            let message = tokio::select! {
                message = stream.message() => message,
                () = self.store.members.left(*turn) => {
                    // A stream of a member that hangs says nothing.
                    self.leave();
                    continue;
                }
            };
            match message {
                Ok(Some(response)) => {
                    if let Some(batch) = self.take(response)? {
                        return Ok(batch);
                    }
                }
                Ok(None) => self.broke("it ended").await,
                Err(error) => self.broke(&error.to_string()).await,
            }
        }
    }

    async fn broke(&mut self, why: &str) {
        if !self.said {
            let prefix = &self.prefix;
            tracing::info!(prefix, why, "a watch of etcd broke; beginning it again");
            self.said = true;
        }
        self.leave();
        sleep(PAUSE).await;
    }

    /// Gives up the stream, and its member: another may do better.
    fn leave(&mut self) {
        if let Some((turn, _)) = self.stream.take() {
            self.store.members.leave(turn);
        }
        self.held.clear();
    }

    /// Begins a stream. A store that has gone back in time would say nothing until it is as far again.
    async fn begin(&mut self) -> Result<(), StoreError> {
        match self.store.revision().await {
            Ok(newest) if newest < self.seen => {
                return Err(StoreError::FutureRevision { asked: self.seen, newest });
            }
            Ok(newest) => self.seen = newest,
            Err(error) => {
                self.broke(&error.to_string()).await;
                return Ok(());
            }
        }
        let mut options = WatchOptions::new()
            .with_start_revision(signed(self.from.0))
            .with_progress_notify()
            .with_fragment();
        options = match behind(&self.prefix) {
            Some(end) => options.with_range(end),
            None => options.with_from_key(),
        };
        let turn = self.store.members.turn();
        let beginning = self.store.members.ask(BEGINS_WITHIN, async |client: Client| {
            Ok(client.watch_client().watch(self.prefix.as_str(), Some(options)).await?)
        });
        match beginning.await {
            Ok(stream) => self.stream = Some((turn, stream)),
            Err(failed) => self.broke(&failed.reason()).await,
        }
        Ok(())
    }

    /// What is complete of a response.
    fn take(&mut self, response: WatchResponse) -> Result<Option<Batch>, StoreError> {
        let response = response.0;
        if response.compact_revision > 0 {
            let oldest = Revision(response.compact_revision.unsigned_abs());
            return Err(StoreError::Compacted { oldest: oldest.max(self.from.next()) });
        }
        if response.canceled {
            // By a member without a leader, for example.
            self.leave();
            return Ok(None);
        }
        self.said = false;
        let is_empty = response.events.is_empty();
        for event in response.events {
            if let Some(event) = self.event(event)? {
                self.held.push(event);
            }
        }
        let complete = match (response.fragment, self.held.last().map(Event::revision)) {
            (true, Some(last)) => self.held.partition_point(|event| event.revision() < last),
            _ => self.held.len(),
        };
        let events: Vec<Event> = self.held.drain(..complete).collect();
        if let Some(revision) = events.last().map(Event::revision) {
            (self.from, self.seen) = (revision.next(), self.seen.max(revision));
            return Ok(Some(Batch { revision, events }));
        }
        // A sign that nothing has changed up to there; the first response is none: its end may lag.
        if let (true, false, Some(header)) = (is_empty, response.created, response.header) {
            self.from = self.from.max(Revision(header.revision.unsigned_abs()).next());
        }
        Ok(None)
    }

    fn event(&self, event: PbEvent) -> Result<Option<Event>, StoreError> {
        let deleted = event.r#type == EventType::Delete as i32;
        let Some(kv) = event.kv else { return Ok(None) };
        if deleted {
            let revision = Revision(kv.mod_revision.unsigned_abs());
            return Ok(Some(Event::Delete { key: self.store.key(&kv.key)?, revision }));
        }
        Ok(Some(Event::Put(self.store.entry(&KeyValue(kv))?)))
    }
}
