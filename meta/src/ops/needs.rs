//! Which partitions' logs need a session.

use futures::future::try_join_all;
use weir_ids::{ClaimNumber, SessionId, TopicPartition};

use crate::{Error, Metadata};

impl Metadata {
    /// Those of `partitions` whose logs do not need what `session` holds, and never will again unless
    /// it claims them.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn not_needing(
        &self,
        session: SessionId,
        partitions: &[TopicPartition],
    ) -> Result<Vec<TopicPartition>, Error> {
        let needs = partitions.iter().map(|partition| self.needs(session, *partition));
        let needs = try_join_all(needs).await?;
        let free = partitions.iter().zip(needs).filter(|(_, needs)| !needs);
        Ok(free.map(|(partition, _)| *partition).collect())
    }

    async fn needs(&self, session: SessionId, partition: TopicPartition) -> Result<bool, Error> {
        loop {
            let Some(log) = self.log(partition).await? else { return Ok(false) };
            let Some(owner) = log.value.owner else { return Ok(false) };
            let wal = self.wal(owner.session).await?;
            let adopted = wal.map_or(ClaimNumber::NONE, |wal| wal.value.adopted_through());
            // What a former owner has adopted since says nothing.
            let again = self.log(partition).await?;
            if again.is_some_and(|again| again.revision == log.revision) {
                return Ok(log.value.needs(session, adopted));
            }
        }
    }
}
