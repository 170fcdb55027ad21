//! What is needed of objects of which little is goes into others, so that they can go.

use std::{collections::BTreeSet, sync::Arc};

use weir_ids::Offset;
use weir_segment_store::{
    ObjectName, ReadError, Reference,
    object::Kind,
    pages::{Builder, Entries, Page, PageRef},
};

use super::{
    Due, Folded, OldPage, Wanted,
    task::{Failed, Folder},
    write::Written,
};
use crate::{client::Thin, shard::ShardHandle};

/// The entries of pages from one that a partition refers to down to one that lists an offset, and which leads on.
type Path = Vec<(Vec<PageRef>, usize)>;

impl Folder {
    /// Writes once more what is needed of thin objects.
    pub(super) async fn thicken(&mut self, thin: &Thin) -> Result<(), Failed> {
        let Thin { objects, listed_at } = thin;
        let objects = Arc::new(objects.clone());
        self.fold_all(Wanted::In(Arc::clone(&objects))).await?;
        for (partition, offset) in listed_at {
            let (_, shard) = ShardHandle::of(&self.deps.shards, *partition);
            let offset = *offset;
            let page = shard.ask(*partition, move |partition| partition.page_of(offset)).await;
            if let Some(page) = page.flatten() {
                self.thicken_below(page, offset, &objects).await?;
            }
        }
        Ok(())
    }

    /// The same for what a page lists around `offset`: a page that lists other places takes its place.
    async fn thicken_below(
        &mut self,
        old: OldPage,
        offset: Offset,
        objects: &BTreeSet<ObjectName>,
    ) -> Result<(), Failed> {
        let (mut path, mut page) = (Path::new(), old.page);
        let mut references = loop {
            let read = match self.reader.page(&page).await {
                Err(ReadError::Store(error)) if error.may_heal() => return Err(error.into()),
                Err(error) => {
                    tracing::error!(partition = %old.partition, %error, "what a page lists is not folded");
                    return Ok(());
                }
                Ok(read) => read,
            };
            match &read.entries {
                Entries::References(references) => break references.clone(),
                Entries::Pages(pages) => {
                    let Some(next) = pages.iter().position(|it| it.last >= offset) else {
                        return Ok(());
                    };
                    page = pages[next];
                    path.push((pages.clone(), next));
                }
            }
        };
        // Named until the partition refers to them.
        let mut named = Vec::new();
        while let Some(written) = self.next_of(&old, &references, objects).await? {
            named.push(written.named);
            for Folded { due, by } in written.folded {
                let begin = references.partition_point(|it| it.base < due.references[0].base);
                references.splice(begin..begin + due.references.len(), by);
            }
        }
        if named.is_empty() {
            return Ok(());
        }
        self.replace_page(old, path, references).await
    }

    /// Writes the first of `references` that lie in `objects` once more; `None` if there are none that can be read.
    async fn next_of(
        &mut self,
        old: &OldPage,
        references: &[Reference],
        objects: &BTreeSet<ObjectName>,
    ) -> Result<Option<Written>, Failed> {
        let range = self.deps.settings.rule.lying_in(references, objects, old.segment);
        let Some(range) = range else { return Ok(None) };
        let OldPage { partition, epoch, lifetime, .. } = *old;
        let references = references[range].to_vec();
        let due = Due { partition, epoch, lifetime, references };
        if self.is_rotten(&due) {
            return Ok(None);
        }
        self.give_way().await;
        let read = self.read(vec![due]).await?;
        if read.is_empty() {
            return Ok(None);
        }
        let written = self.deps.write_sorted(read).await?;
        self.deps.metrics.folds.inc();
        self.deps.metrics.folded_bytes.inc_by(written.len);
        Ok(Some(written))
    }

    /// Writes a page of `references`, and those on the way to it, and has the partition refer to them.
    async fn replace_page(
        &self,
        old: OldPage,
        path: Path,
        references: Vec<Reference>,
    ) -> Result<(), Failed> {
        let (number, partition) = (self.deps.numbers.next(), old.partition);
        let name = ObjectName::Pages { session: self.deps.session, number };
        let mut builder = Builder::new(name, &self.deps.header(number, Kind::Pages));
        let mut at = builder.add(&Page { partition, entries: Entries::References(references) });
        for (mut pages, place) in path.into_iter().rev() {
            pages[place] = at;
            at = builder.add(&Page { partition, entries: Entries::Pages(pages) });
        }
        let _named = self.deps.folding.name(name);
        self.deps.store.create(name, &builder.finish()).await?;
        let (_, shard) = ShardHandle::of(&self.deps.shards, partition);
        let done = shard.ask(partition, move |partition| partition.page_replaced(&old, at)).await;
        if done == Some(true) {
            self.deps.checkpoints.folded(vec![partition]);
        }
        Ok(())
    }
}
