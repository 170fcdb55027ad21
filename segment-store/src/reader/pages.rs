//! From a reference to a page to the references that it lists.

use std::sync::Arc;

use bytes::Bytes;
use weir_ids::{Offset, Timestamp};

use super::{ReadError, Reader};
use crate::{
    Reference,
    pages::{Entries, Page, PageRef, decode},
};

impl Reader {
    /// The references that `page` lists, from the first on that ends at `from` or behind it and may hold a record that
    /// is not older than `timestamp`; if there are pages between, those of the page of references in which that is.
    /// Empty if there is none.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub async fn references(
        &self,
        page: &PageRef,
        from: Offset,
        timestamp: Timestamp,
    ) -> Result<Vec<Reference>, ReadError> {
        let mut at = *page;
        loop {
            let page = self.page(&at).await?;
            let Some(first) = page.entries.first(from, timestamp) else { return Ok(Vec::new()) };
            match &page.entries {
                Entries::References(references) => return Ok(references[first..].to_vec()),
                // What a page fits is one level above what it lists.
                Entries::Pages(pages) => at = pages[first],
            }
        }
    }

    /// What a page lists. Several that want it ask the store once.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub async fn page(&self, at: &PageRef) -> Result<Arc<Page>, ReadError> {
        let load = async {
            let _turn = self.turn().await;
            let decode = |bytes: Bytes| {
                let page = decode(&bytes).map_err(|error| error.to_string())?;
                if !at.fits(&page) {
                    return Err("it is not the page that is referred to".to_owned());
                }
                Ok(Arc::new(page))
            };
            self.checked(at.object, at.place, decode).await
        };
        let page = self.pages.try_get_with((at.object, at.place.at), load).await;
        page.map_err(|error: Arc<ReadError>| ReadError::clone(&error))
    }
}
