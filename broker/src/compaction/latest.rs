//! The latest offset of each key, in memory of a fixed size.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};
use weir_ids::Offset;

/// A table of keys with open addressing. Keys are known by 128 bits of a keyed hash: two with the same would cost one of
/// them its record, and who does not know the hash's key can't look for such.
pub(super) struct Latest {
    hasher: SipHasher24,
    places: Vec<Place>,
    taken: usize,
}

/// One key, or none.
#[derive(Clone, Copy, Default)]
struct Place {
    hash: [u64; 2],
    /// One more than its latest offset; 0: none.
    behind: u64,
}

/// There is no room for another key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Full;

impl Latest {
    /// Room for `keys`, but not more than `bytes` of memory; for one at least. `secret` is the hash's key.
    pub(super) fn new(keys: u64, bytes: u64, secret: (u64, u64)) -> Self {
        let most = bytes / size_of::<Place>() as u64;
        // A tenth stays free: a search ends at what is free.
        let wanted = keys.saturating_add(keys / 9).saturating_add(2).min(most).max(2);
        let places = vec![Place::default(); usize::try_from(wanted).unwrap_or(2)];
        Self { hasher: SipHasher24::new_with_keys(secret.0, secret.1), places, taken: 0 }
    }

    /// A record has this key and offset.
    ///
    /// # Errors
    /// [`Full`] if the key is new and there is no room for it.
    pub(super) fn note(&mut self, key: &[u8], offset: Offset) -> Result<(), Full> {
        let hash = self.hash(key);
        let at = self.find(hash);
        let behind = offset.0.saturating_add(1).max(0) as u64;
        let is_full = self.taken >= (self.places.len() / 10 * 9).max(1);
        let place = &mut self.places[at];
        if place.behind == 0 {
            if is_full {
                return Err(Full);
            }
            self.taken += 1;
        }
        *place = Place { hash, behind: place.behind.max(behind) };
        Ok(())
    }

    /// The latest offset of a key, if it has been noted.
    pub(super) fn of(&self, key: &[u8]) -> Option<Offset> {
        let behind = self.places[self.find(self.hash(key))].behind;
        behind.checked_sub(1).map(|offset| Offset(offset as i64))
    }

    /// Where a key is, or is to be.
    fn find(&self, hash: [u64; 2]) -> usize {
        let len = self.places.len();
        let mut at = ((u128::from(hash[0]) * len as u128) >> 64) as usize;
        // There is always a free one.
        while self.places[at].behind != 0 && self.places[at].hash != hash {
            at = if at + 1 == len { 0 } else { at + 1 };
        }
        at
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        let mut hasher = self.hasher;
        hasher.write(key);
        let hash = hasher.finish128();
        [hash.h1, hash.h2]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_holds_as_many_keys_as_there_is_room_for() {
        let mut latest = Latest::new(1_000, 24 * 100, (1, 2));
        let taken = (0..1_000_u32)
            .take_while(|key| latest.note(&key.to_le_bytes(), Offset(i64::from(*key))).is_ok());
        assert_eq!(taken.count(), 90);
        assert_eq!(latest.note(&5_u32.to_le_bytes(), Offset(2_000)), Ok(()), "it is known");
        assert_eq!(latest.of(&5_u32.to_le_bytes()), Some(Offset(2_000)));
        assert_eq!(latest.of(&200_u32.to_le_bytes()), None);
        assert_eq!(latest.note(&200_u32.to_le_bytes(), Offset(2_001)), Err(Full));
        let mut least = Latest::new(0, 0, (1, 2));
        assert_eq!(least.note(b"a", Offset(0)), Ok(()));
        assert_eq!(least.note(b"b", Offset(1)), Err(Full));
    }

    proptest! {
        #[test]
        fn it_says_what_a_map_says(
            notes in prop::collection::vec((any::<u8>(), 0..1_000_i64), 0..300),
            secret in any::<(u64, u64)>(),
        ) {
            let mut latest = Latest::new(256, u64::MAX, secret);
            let mut map = HashMap::new();
            for (key, offset) in notes {
                prop_assert_eq!(latest.note(&[key], Offset(offset)), Ok(()));
                let known = map.entry(key).or_insert(offset);
                *known = offset.max(*known);
            }
            for key in 0..=u8::MAX {
                prop_assert_eq!(latest.of(&[key]), map.get(&key).map(|offset| Offset(*offset)));
            }
        }
    }
}
