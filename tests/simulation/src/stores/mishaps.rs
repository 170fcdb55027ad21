//! What goes wrong between one node and the stores: a mood for each, set by whoever makes trouble, and
//! chance.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use weir_meta::store::Operation;
use weir_segment_store::{
    journal::append::memory::FileRequest,
    testing::{Fate, Request},
};

use crate::{chance::Chance, trace::Trace};

/// How a store is with a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Mood {
    /// Nothing goes wrong.
    Calm,
    /// Now and then something does.
    Uneasy,
    /// A third of all requests fail.
    Storm,
}

/// The troubles of one node, in all its lives. Clones are the same.
#[derive(Clone)]
pub(crate) struct Mishaps(Arc<Inner>);

struct Inner {
    who: String,
    trace: Trace,
    objects: (AtomicU8, Chance),
    metadata: (AtomicU8, Chance),
}

/// What becomes of a request to the metadata store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MetaFate {
    Done,
    Slow(Duration),
    /// It does not reach the store, and that is known.
    Before,
    /// It does not reach the store, and nobody can tell.
    Lost,
    /// It takes effect, and the answer is lost.
    After,
    /// It takes effect after a while; the answer is lost.
    Late(Duration),
    /// No answer, and no effect.
    Hangs,
}

/// What becomes of a request about a file of a write-ahead log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FileFate {
    Done,
    Slow(Duration),
    /// It fails, and nothing is done.
    Fails,
    /// It is done, and the answer is lost.
    FailsAfter,
    /// No answer, and nothing is done.
    Hangs,
    /// It is done after a while; the answer is lost.
    Late(Duration),
    /// It is done, and once more after a while.
    Twice(Duration),
}

/// What becomes of a batch of a watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WatchFate {
    Delivered,
    /// And once more.
    Repeated,
    /// The watch ends: its history is gone.
    Compacted,
    /// The batch is lost, and the watch breaks after a while.
    Lost(Duration),
}

impl Mishaps {
    pub(crate) fn new(seed: u64, who: String, trace: Trace) -> Self {
        let of = |what: &str| (AtomicU8::new(0), Chance::new(seed, &format!("{what} of {who}")));
        let (objects, metadata) = (of("objects"), of("metadata"));
        Self(Arc::new(Inner { who, trace, objects, metadata }))
    }

    pub(crate) fn set_objects(&self, mood: Mood) {
        self.0.objects.0.store(mood as u8, Ordering::Relaxed);
    }

    pub(crate) fn set_metadata(&self, mood: Mood) {
        self.0.metadata.0.store(mood as u8, Ordering::Relaxed);
    }

    /// What becomes of a request to the object store.
    pub(super) fn of_objects(&self, request: Request, path: &str) -> Fate {
        let Inner { who, trace, objects: (mood, chance), .. } = &*self.0;
        let drawn = chance.below(1000);
        let fate = match mood.load(Ordering::Relaxed) {
            0 => Fate::Done,
            1 => uneasy(request, drawn, chance),
            _ => stormy(drawn, chance),
        };
        let kind = match fate {
            Fate::Done => return Fate::Done,
            Fate::Slow(_) => "objects: slow",
            Fate::Fails => "objects: fails before",
            Fate::FailsAfter => "objects: fails after",
            Fate::Hangs => "objects: hangs",
            Fate::HangsAfter => "objects: hangs after",
            Fate::Late(_) => "objects: lands late",
            Fate::Twice(_) => "objects: lands twice",
            Fate::Conflicts => "objects: conflict without cause",
            Fate::Overwrites => "objects: replaced",
            Fate::Missing => "objects: not found",
            Fate::Rots(_) => "objects: rotten read",
            Fate::EndsEarly => "objects: short read",
            Fate::Stale(_) => "objects: stale list",
        };
        trace.fired(kind, format_args!("{who} {request:?} {path} {fate:?}"));
        fate
    }

    /// What becomes of a request about a file.
    pub(super) fn of_files(&self, request: FileRequest, path: &str) -> FileFate {
        let Inner { who, trace, objects: (mood, chance), .. } = &*self.0;
        let drawn = chance.below(1000);
        let fate = match mood.load(Ordering::Relaxed) {
            0 => FileFate::Done,
            1 => uneasy_files(request, drawn, chance),
            _ if drawn < 300 => FileFate::Fails,
            _ => FileFate::Done,
        };
        let kind = match fate {
            FileFate::Done => return FileFate::Done,
            FileFate::Slow(_) => "files: slow",
            FileFate::Fails => "files: fails before",
            FileFate::FailsAfter => "files: fails after",
            FileFate::Hangs => "files: hangs",
            FileFate::Late(_) => "files: lands late",
            FileFate::Twice(_) => "files: lands twice",
        };
        trace.fired(kind, format_args!("{who} {request:?} {path} {fate:?}"));
        fate
    }

    /// What becomes of a request to the metadata store.
    pub(super) fn of_metadata(&self, operation: Operation, what: &str) -> MetaFate {
        let Inner { who, trace, metadata: (mood, chance), .. } = &*self.0;
        let drawn = chance.below(1000);
        let fate = match mood.load(Ordering::Relaxed) {
            0 => MetaFate::Done,
            mood => {
                // In a storm, four times as often.
                let drawn = if mood == 1 { drawn } else { drawn / 4 };
                uneasy_metadata(operation, drawn, chance)
            }
        };
        let kind = match fate {
            MetaFate::Done => return MetaFate::Done,
            MetaFate::Slow(_) => "metadata: slow",
            MetaFate::Before => "metadata: fails before",
            MetaFate::Lost => "metadata: lost",
            MetaFate::After => "metadata: fails after",
            MetaFate::Late(_) => "metadata: lands late",
            MetaFate::Hangs => "metadata: hangs",
        };
        trace.fired(kind, format_args!("{who} {what} {fate:?}"));
        fate
    }

    /// What becomes of a batch of a watch.
    pub(super) fn of_watch(&self, prefix: &str) -> WatchFate {
        let Inner { who, trace, metadata: (mood, chance), .. } = &*self.0;
        let drawn = chance.below(1000);
        let some = chance.millis(100..=3000);
        let fate = match (mood.load(Ordering::Relaxed), drawn) {
            (0, _) => WatchFate::Delivered,
            (_, 0..100) => WatchFate::Repeated,
            (_, 100..150) => WatchFate::Compacted,
            (_, 150..200) => WatchFate::Lost(some),
            _ => WatchFate::Delivered,
        };
        let kind = match fate {
            WatchFate::Delivered => return WatchFate::Delivered,
            WatchFate::Repeated => "watch: repeated",
            WatchFate::Compacted => "watch: compacted",
            WatchFate::Lost(_) => "watch: lost",
        };
        trace.fired(kind, format_args!("{who} {prefix} {fate:?}"));
        fate
    }
}

/// About one in eight goes wrong in some way.
fn uneasy(request: Request, drawn: u64, chance: &Chance) -> Fate {
    let (some, long) = (chance.millis(1..=500), chance.millis(100..=8000));
    match (request, drawn) {
        (_, 0..40) => Fate::Slow(some),
        (_, 40..55) => Fate::Fails,
        (_, 55..70) => Fate::FailsAfter,
        (_, 70..73) => Fate::Hangs,
        (Request::Put, 73..76) => Fate::HangsAfter,
        (Request::Put, 76..88) => Fate::Late(long),
        (Request::Put, 88..100) => Fate::Twice(long),
        (Request::Put, 100..112) => Fate::Conflicts,
        (Request::Get, 73..88) => Fate::Rots(chance.number()),
        (Request::Get, 88..100) => Fate::EndsEarly,
        (Request::Get, 100..110) => Fate::Missing,
        (Request::List, 73..400) => Fate::Stale(long),
        _ => Fate::Done,
    }
}

/// A NameNode may be told the same twice, and late; a pipeline takes what is appended once and in order.
fn uneasy_files(request: FileRequest, drawn: u64, chance: &Chance) -> FileFate {
    let (some, long) = (chance.millis(1..=500), chance.millis(100..=8000));
    let is_told = !matches!(request, FileRequest::Append | FileRequest::Sync | FileRequest::Close);
    match drawn {
        0..40 => FileFate::Slow(some),
        40..55 => FileFate::Fails,
        55..70 => FileFate::FailsAfter,
        70..75 => FileFate::Hangs,
        75..100 if is_told => FileFate::Late(long),
        100..125 if is_told => FileFate::Twice(long),
        _ => FileFate::Done,
    }
}

/// 503 and 429.
fn stormy(drawn: u64, chance: &Chance) -> Fate {
    match drawn {
        0..300 => Fate::Fails,
        300..400 => Fate::Slow(chance.millis(50..=1000)),
        _ => Fate::Done,
    }
}

fn uneasy_metadata(operation: Operation, drawn: u64, chance: &Chance) -> MetaFate {
    let (some, long) = (chance.millis(1..=500), chance.millis(100..=5000));
    match (operation, drawn) {
        (_, 0..30) => MetaFate::Slow(some),
        (_, 30..50) => MetaFate::Before,
        (_, 50..65) => MetaFate::Lost,
        (_, 65..80) => MetaFate::After,
        (_, 80..84) => MetaFate::Hangs,
        (Operation::Txn, 84..100) => MetaFate::Late(long),
        _ => MetaFate::Done,
    }
}
