//! Trying an HDFS before anything is entrusted to it, and clearing away what attempts to write have left.

use bytes::Bytes;
use hdfs_native::{HdfsError, WriteOptions};

use super::{Hdfs, error, objects::DRAFTS};
use crate::journal::append::CheckError;

const FOLDER_MODE: u32 = 0o755;
/// A draft that was touched last so long before now belongs to nobody any more, in milliseconds.
const ABANDONED_MS: u64 = 24 * 3_600 * 1_000;

impl Hdfs {
    /// See [`crate::journal::append::AppendStore::check`].
    pub(super) async fn try_out(&self) -> Result<(), CheckError> {
        let drafts = self.path(DRAFTS);
        let made = self.client.mkdirs(&drafts, FOLDER_MODE, true).await;
        made.map_err(|error| self.explain(&error))?;
        let trial = self.draft();
        let tried = self.try_file(&trial).await;
        let now = match &tried {
            Ok(()) => self.client.get_file_info(&trial).await.map(|it| it.modification_time),
            Err(_) => Ok(0),
        };
        // One that stays is small, and is cleared away some day.
        let _ = self.client.delete(&trial, false).await;
        tried.map_err(|error| self.explain(&error))?;
        self.clear_drafts(&drafts, now.map_err(|error| self.explain(&error))?).await;
        Ok(())
    }

    async fn try_file(&self, path: &str) -> Result<(), HdfsError> {
        let options =
            WriteOptions { replication: self.settings.replication, ..WriteOptions::default() };
        let mut file = self.client.create(path, &options).await?;
        file.write_bytes(Bytes::from_static(b"a file that is tried")).await?;
        file.hsync().await?;
        file.close().await
    }

    /// Deletes the drafts that nobody works on any more. `now` is told by the NameNode, as their ages are.
    async fn clear_drafts(&self, drafts: &str, now: u64) {
        let listed = self.client.list_status(drafts, false).await.unwrap_or_default();
        let is_abandoned = |modified: u64| modified.saturating_add(ABANDONED_MS) < now;
        for draft in listed.iter().filter(|draft| is_abandoned(draft.modification_time)) {
            if let Err(error) = self.client.delete(&draft.path, false).await {
                tracing::debug!(path = draft.path, %error, "a draft is not deleted");
            }
        }
    }

    /// What an operator can do about it.
    fn explain(&self, error: &HdfsError) -> CheckError {
        let Self { authority, root, .. } = self;
        let said = error::text(error);
        let class = match error {
            HdfsError::RPCError(class, _) => class.rsplit('.').next().unwrap_or(class),
            _ => "",
        };
        match class {
            "AccessControlException" | "AuthorizationException" => CheckError::Refused(format!(
                "{said}; let this user write to {root}, or name another one as store.options.user"
            )),
            "SafeModeException" => CheckError::Unavailable(format!(
                "the NameNode at {authority} is in safe mode and takes no writes: it leaves it when it has heard of \
                 enough blocks, or by hdfs dfsadmin -safemode leave"
            )),
            "StandbyException" => CheckError::Unavailable(format!(
                "the NameNode at {authority} is a standby; name the name service instead of a host, and set \
                 store.options.config_dir to the folder of its hdfs-site.xml"
            )),
            "NSQuotaExceededException"
            | "DSQuotaExceededException"
            | "QuotaByStorageTypeExceededException" => CheckError::Unavailable(format!(
                "the quota of {root} or of a folder above it is used up: {said}; raise it by hdfs dfsadmin \
                 -setQuota or -setSpaceQuota"
            )),
            "" => CheckError::Unavailable(format!(
                "the HDFS at {authority} can't be used: {said}; the host and port are those of the NameNode's RPC \
                 (dfs.namenode.rpc-address, not its web page)"
            )),
            _ => CheckError::Unavailable(format!("the NameNode at {authority} refuses: {said}")),
        }
    }
}
