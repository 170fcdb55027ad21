//! What a node stands on: metadata, a store, write-ahead logs; opened, and tried before anything is entrusted
//! to them.

use std::{path::Path, sync::Arc, time::Duration};

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

use super::place::{Directories, Shared};
use crate::{config::Config, data_dir::DataDir};

/// How long a store may take to answer, for example while a whole cluster starts.
const STORE_PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Foundation {
    pub(super) metadata: Metadata,
    /// The cluster's id.
    pub(super) cluster: Uuid,
    pub(super) store: Store,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) hold: Hold,
}

/// What has to be let go of in the end.
pub(super) struct Hold {
    embedded: Option<Embedded>,
    _data: Option<DataDir>,
}

impl Hold {
    /// Lets go.
    pub(super) async fn close(self) {
        if let Some(embedded) = &self.embedded {
            embedded.close().await;
        }
    }
}

impl Foundation {
    /// That of a node which keeps everything on its own disk.
    pub(super) async fn alone(
        config: &Config,
        directories: &Directories,
        runtime: &Runtime,
    ) -> Result<Self> {
        let data = DataDir::open(&directories.data)?;
        let meta = directories.meta.as_deref().unwrap_or_else(|| data.path());
        let embedded = Embedded::open(meta).await?;
        let metadata = Metadata::new(Arc::new(embedded.clone()));
        let cluster = join(config, &metadata, runtime).await?;
        let store = Store::local(&data.objects(), data.path().to_owned())?;
        let journal = Arc::new(file_journal(config, data.path(), cluster, runtime));
        let hold = Hold { embedded: Some(embedded), _data: Some(data) };
        Ok(Self { metadata, cluster, store, journal, hold })
    }

    /// That of a node of a cluster.
    pub(super) async fn shared(
        config: &Config,
        shared: &Shared,
        runtime: &Runtime,
    ) -> Result<Self> {
        let url = &config.store.url;
        let Opened { objects, files } = shared.store.open(runtime, config.broker.wal_file_bytes)?;
        let store = || format!("store {url}");
        match &files {
            Some(files) => {
                check_files(&**files, runtime, STORE_PATIENCE).await.with_context(store)?;
            }
            None => {
                probe_condition(&*objects, runtime, STORE_PATIENCE).await.with_context(store)?;
            }
        }
        let metadata = Metadata::new(Arc::new(Etcd::connect(&shared.meta).await?));
        let cluster = join(config, &metadata, runtime).await?;
        let retry = Retry::new(runtime.clone(), RetrySettings::default());
        let store = Store::new(objects, None).retrying(retry);
        let journal: Arc<dyn Journal> = match files {
            Some(files) => {
                let file_bytes = config.broker.wal_file_bytes;
                let settings = AppendJournalSettings { file_bytes, ..Default::default() };
                Arc::new(AppendJournal::new(files, cluster, runtime.clone(), settings))
            }
            None => {
                let settings = ObjectJournalSettings::default();
                Arc::new(ObjectJournal::new(store.clone(), cluster, runtime.clone(), settings))
            }
        };
        let hold = Hold { embedded: None, _data: None };
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

fn file_journal(config: &Config, data: &Path, cluster: Uuid, runtime: &Runtime) -> FileJournal {
    let settings =
        FileJournalSettings { file_bytes: config.broker.wal_file_bytes, ..Default::default() };
    FileJournal::new(data, cluster, runtime.clone(), settings)
}
