//! What is in the store, and what was asked of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Bound;

use bytes::Bytes;
use weir_ids::Timestamp;

/// A kind of request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Put,
    Get,
    Head,
    List,
    Delete,
}

/// An object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    /// Which of all writes made it.
    pub(crate) version: u64,
    /// And when.
    pub(crate) written: Timestamp,
}

/// Everything. No I/O.
#[derive(Default)]
pub(crate) struct Objects {
    objects: BTreeMap<String, Object>,
    counts: BTreeMap<Kind, u64>,
    /// Puts of slots of write-ahead logs.
    wal_puts: u64,
    put_bytes: u64,
    /// Bytes of answers to gets.
    get_bytes: u64,
    /// Bytes of all objects.
    stored_bytes: u64,
    last: u64,
}

impl Objects {
    /// Puts an object; `None`: there is one, and it was to be put only if there is none.
    pub(crate) fn put(
        &mut self,
        key: &str,
        bytes: Bytes,
        only_if_absent: bool,
        now: Timestamp,
    ) -> Option<u64> {
        if only_if_absent && self.objects.contains_key(key) {
            return None;
        }
        self.last += 1;
        self.wal_puts += u64::from(key.contains("/wal/"));
        self.put_bytes += bytes.len() as u64;
        self.stored_bytes += bytes.len() as u64;
        let before =
            self.objects.insert(key.to_owned(), Object { bytes, version: self.last, written: now });
        self.forget(before);
        Some(self.last)
    }

    fn forget(&mut self, object: Option<Object>) {
        self.stored_bytes -= object.map_or(0, |object| object.bytes.len() as u64);
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Object> {
        self.objects.get(key)
    }

    pub(crate) fn delete(&mut self, key: &str) {
        let object = self.objects.remove(key);
        self.forget(object);
    }

    /// The objects whose keys begin with `prefix`, behind `after`, in order.
    pub(crate) fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: &str,
    ) -> impl Iterator<Item = (&'a String, &'a Object)> {
        let from = match after >= prefix && !after.is_empty() {
            true => Bound::Excluded(after.to_owned()),
            false => Bound::Included(prefix.to_owned()),
        };
        let behind = self.objects.range((from, Bound::Unbounded));
        behind.take_while(move |(key, _)| key.starts_with(prefix))
    }

    pub(crate) fn count(&mut self, kind: Kind) {
        *self.counts.entry(kind).or_default() += 1;
    }

    /// So many bytes of an object are on their way to whoever asked for them.
    pub(crate) fn count_bytes(&mut self, bytes: usize) {
        self.get_bytes += bytes as u64;
    }

    /// How often each kind of request came, a line each; the bytes put and got, and those that there are.
    pub(crate) fn counts(&self) -> String {
        let mut text = String::new();
        for (kind, count) in &self.counts {
            let _ = writeln!(text, "{} {count}", format!("{kind:?}").to_lowercase());
        }
        let Self { wal_puts, put_bytes, get_bytes, stored_bytes, objects, .. } = self;
        let objects = objects.len();
        let _ = writeln!(
            text,
            "put_wal {wal_puts}\nput_bytes {put_bytes}\nget_bytes {get_bytes}\n\
             stored_bytes {stored_bytes}\nobjects {objects}"
        );
        text
    }
}
