//! What a node stands on: metadata, a store, write-ahead logs; opened, and tried before anything is entrusted
//! to them.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use uuid::Uuid;
use weir_meta::{
    Metadata,
    store::{Embedded, etcd::Etcd},
};
use weir_runtime::Runtime;
use weir_segment_store::{
    Opened, Retry, RetrySettings, Store,
    journal::{
        AppendJournal, AppendJournalSettings, FileJournal, FileJournalSettings, Journal,
        ObjectJournal, ObjectJournalSettings, check_files,
    },
    probe_condition,
};

use super::place::{Directories, Place, Shared};
use crate::{config::Config, data_dir::DataDir};

/// How long a store may take to answer, for example while a whole cluster starts.
const STORE_PATIENCE: Duration = Duration::from_secs(60);

/// Metadata and a store, opened; which cluster they are of is not known yet.
pub(crate) struct Ground {
    pub(crate) metadata: Metadata,
    pub(crate) store: Store,
    logs: Logs,
    hold: Hold,
}

/// Where write-ahead logs are.
enum Logs {
    Disk(PathBuf),
    Shared(Opened),
}

/// What has to be let go of in the end.
pub(crate) struct Hold {
    embedded: Option<Embedded>,
    _data: Option<DataDir>,
}

impl Hold {
    /// Lets go.
    pub(crate) async fn close(self) {
        if let Some(embedded) = &self.embedded {
            embedded.close().await;
        }
    }
}

impl Ground {
    /// Opens what a node at `place` stands on. Nothing is written but what is missing on its own disk.
    pub(crate) async fn open(config: &Config, place: &Place, runtime: &Runtime) -> Result<Self> {
        match place {
            Place::Alone(directories) => Self::alone(directories).await,
            Place::Cluster(shared) => Self::shared(config, shared, runtime).await,
        }
    }

    async fn alone(directories: &Directories) -> Result<Self> {
        let data = DataDir::open(&directories.data)?;
        let meta = directories.meta.as_deref().unwrap_or_else(|| data.path());
        let embedded = Embedded::open(meta).await?;
        let metadata = Metadata::new(Arc::new(embedded.clone()));
        let store = Store::local(&data.objects(), data.path().to_owned())?;
        let logs = Logs::Disk(data.path().to_owned());
        let hold = Hold { embedded: Some(embedded), _data: Some(data) };
        Ok(Self { metadata, store, logs, hold })
    }

    async fn shared(config: &Config, shared: &Shared, runtime: &Runtime) -> Result<Self> {
        let opened = shared.store.open(runtime, config.broker.wal_file_bytes)?;
        let metadata = Metadata::new(Arc::new(Etcd::connect(&shared.meta).await?));
        let retry = Retry::new(runtime.clone(), RetrySettings::default());
        let store = Store::new(Arc::clone(&opened.objects), None).retrying(retry);
        let hold = Hold { embedded: None, _data: None };
        Ok(Self { metadata, store, logs: Logs::Shared(opened), hold })
    }

    /// Refuses a store that a write-ahead log would not be safe in. That is tried, on objects that are deleted again.
    async fn try_store(&self, config: &Config, runtime: &Runtime) -> Result<()> {
        let store = || format!("store {}", config.store.url);
        match &self.logs {
            Logs::Disk(_) => Ok(()),
            Logs::Shared(Opened { files: Some(files), .. }) => {
                check_files(&**files, runtime, STORE_PATIENCE).await.with_context(store)
            }
            Logs::Shared(Opened { objects, files: None }) => {
                probe_condition(&**objects, runtime, STORE_PATIENCE).await.with_context(store)
            }
        }
    }

    /// The write-ahead logs of `cluster`.
    pub(crate) fn journal(
        &self,
        config: &Config,
        cluster: Uuid,
        runtime: &Runtime,
    ) -> Arc<dyn Journal> {
        let (file_bytes, runtime) = (config.broker.wal_file_bytes, runtime.clone());
        match &self.logs {
            Logs::Disk(root) => {
                let settings = FileJournalSettings { file_bytes, ..Default::default() };
                Arc::new(FileJournal::new(root, cluster, runtime, settings))
            }
            Logs::Shared(Opened { files: Some(files), .. }) => {
                let settings = AppendJournalSettings { file_bytes, ..Default::default() };
                Arc::new(AppendJournal::new(Arc::clone(files), cluster, runtime, settings))
            }
            Logs::Shared(Opened { files: None, .. }) => {
                let settings = ObjectJournalSettings::default();
                Arc::new(ObjectJournal::new(self.store.clone(), cluster, runtime, settings))
            }
        }
    }

    /// Lets go of it.
    pub(crate) async fn close(self) {
        self.hold.close().await;
    }
}

/// See the module.
pub(super) struct Foundation {
    pub(super) metadata: Metadata,
    /// The cluster's id.
    pub(super) cluster: Uuid,
    pub(super) store: Store,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) hold: Hold,
}

impl Foundation {
    /// That of a node at `place`; its cluster is founded if there is none yet.
    pub(super) async fn lay(config: &Config, place: &Place, runtime: &Runtime) -> Result<Self> {
        let ground = Ground::open(config, place, runtime).await?;
        ground.try_store(config, runtime).await?;
        let cluster = join(config, &ground.metadata, runtime).await?;
        let journal = ground.journal(config, cluster, runtime);
        let Ground { metadata, store, hold, .. } = ground;
        Ok(Self { metadata, cluster, store, journal, hold })
    }
}

/// The id of the cluster, which is founded if there is none yet.
async fn join(config: &Config, metadata: &Metadata, runtime: &Runtime) -> Result<Uuid> {
    let founded = runtime.uuid().to_string();
    let cluster = metadata.join_cluster(&config.cluster, &founded).await?;
    Uuid::parse_str(&cluster.id)
        .with_context(|| format!("the cluster's id {:?} in the metadata", cluster.id))
}
