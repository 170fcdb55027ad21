//! The oldest references go to pages, which are kept in the store.

use weir_segment_store::{ObjectName, object::Kind, pages::Builder};

use super::{
    DuePage, Paged,
    task::{Failed, Folder},
};
use crate::shard::ShardHandle;

/// How many pages make one object at most: a page has some twenty kilobytes.
const PAGES_MAX: usize = 256;

impl Folder {
    /// Writes the pages that are due, as long as there are any.
    pub(super) async fn page_off(&self) -> Result<(), Failed> {
        let entries = self.deps.settings.page_entries;
        loop {
            let mut dues = Vec::new();
            for shard in &*self.deps.shards {
                dues.extend(shard.due_pages(entries, PAGES_MAX - dues.len()).await?);
            }
            if dues.is_empty() {
                return Ok(());
            }
            self.write_pages(dues).await?;
        }
    }

    async fn write_pages(&self, dues: Vec<DuePage>) -> Result<(), Failed> {
        let number = self.deps.numbers.next();
        let name = ObjectName::Pages { session: self.deps.session, number };
        let mut builder = Builder::new(name, &self.deps.header(number, Kind::Pages));
        let paged: Vec<Paged> = dues
            .into_iter()
            .map(|due| {
                let at = builder.add(&due.page);
                Paged { due, at }
            })
            .collect();
        let _named = self.deps.folding.name(name);
        self.deps.store.create(name, &builder.finish()).await?;
        self.deps.metrics.pages.inc_by(paged.len() as u64);
        let mut by_shard: Vec<Vec<Paged>> = self.deps.shards.iter().map(|_| Vec::new()).collect();
        for paged in paged {
            by_shard[ShardHandle::of(&self.deps.shards, paged.due.page.partition).0].push(paged);
        }
        for (shard, paged) in self.deps.shards.iter().zip(by_shard) {
            if !paged.is_empty() {
                self.deps.checkpoints.folded(shard.paged(paged).await?);
            }
        }
        Ok(())
    }
}
