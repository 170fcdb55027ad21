//! Copies of the small part of the metadata that objects do not tell by themselves: what topics are called, and how they
//! are configured. They lie beside the objects, so that the store alone suffices to bring a cluster back.
//!
//! ```text
//! catalog/{number:020}
//! ```
//!
//! What they hold is for those who write and read them. The one with the highest number counts. They are no
//! [`ObjectName`](crate::ObjectName)s: nothing refers to them, and no collector of garbage sees them.

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{GetOptions, ObjectStoreExt, PutMode, PutOptions, path::Path};

use crate::{Store, StoreError, store::failed};

const PREFIX: &str = "catalog";

impl Store {
    /// Writes a copy. One of that number that is there already stays.
    ///
    /// # Errors
    /// When it is not known to be written.
    pub async fn write_catalog(&self, number: u64, bytes: Bytes) -> Result<(), StoreError> {
        let path = path(number);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.objects.put_opts(&path, bytes.into(), options).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(failed(path.as_ref(), &error)),
        }
    }

    /// The numbers of all copies, in order.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn catalogs(&self) -> Result<Vec<u64>, StoreError> {
        let listed = self.objects.list(Some(&Path::from(PREFIX))).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| failed(PREFIX, &error))?;
        let number = |path: &Path| path.filename().and_then(|name| name.parse().ok());
        let mut numbers: Vec<u64> = listed.iter().filter_map(|it| number(&it.location)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// What a copy holds.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn catalog(&self, number: u64) -> Result<Bytes, StoreError> {
        let path = path(number);
        let got = self.objects.get_opts(&path, GetOptions::default()).await;
        let got = got.map_err(|error| failed(path.as_ref(), &error))?;
        got.bytes().await.map_err(|error| failed(path.as_ref(), &error))
    }

    /// Deletes a copy; one that is not there is fine.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_catalog(&self, number: u64) -> Result<(), StoreError> {
        let path = path(number);
        match self.objects.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(path.as_ref(), &error)),
        }
    }
}

fn path(number: u64) -> Path {
    Path::from(format!("{PREFIX}/{number:020}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn the_highest_number_is_last_and_what_is_there_stays() {
        let store = Store::new(Arc::new(object_store::memory::InMemory::new()), None);
        assert_eq!(store.catalogs().await, Ok(vec![]));
        for (number, text) in [(100, "b"), (9, "a"), (100, "c")] {
            store.write_catalog(number, Bytes::from_static(text.as_bytes())).await.unwrap();
        }
        assert_eq!(store.catalogs().await, Ok(vec![9, 100]));
        assert_eq!(store.catalog(100).await, Ok(Bytes::from_static(b"b")));
        assert_eq!(store.list(None).await, Ok(vec![]), "it is no object that anybody refers to");
        store.delete_catalog(9).await.unwrap();
        store.delete_catalog(9).await.unwrap();
        assert_eq!(store.catalogs().await, Ok(vec![100]));
        assert!(matches!(store.catalog(9).await, Err(StoreError::NotFound(_))));
    }
}
