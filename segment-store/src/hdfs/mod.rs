//! HDFS, through the crate `hdfs-native`.
//!
//! Objects and the files of write-ahead logs are in the same tree, below one folder. The NameNode decides who
//! creates a file and who holds its lease; DataNodes keep what is synced. What the library can't see is the last
//! block of a file that is open: such a file looks empty here.

mod check;
mod copies;
mod error;
mod files;
mod objects;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use hdfs_native::{Client, ClientBuilder, HdfsError};
use weir_runtime::Runtime;

use self::copies::Copies;
use crate::journal::append::CHECKSUM_BYTES;

/// A folder of an HDFS. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Hdfs {
    client: Client,
    /// The NameNode, or the name service.
    authority: String,
    /// The folder, without a `/` at its end.
    root: String,
    runtime: Runtime,
    settings: Settings,
    /// With how many copies files of write-ahead logs are begun.
    copies: Arc<Copies>,
}

#[derive(Clone, Copy)]
struct Settings {
    /// Copies of each block; none: as the NameNode says.
    replication: Option<u32>,
    /// Bytes of a block of a write-ahead log, so that a file has one.
    log_block_bytes: u64,
}

/// An option that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HdfsOptionError {
    /// It is not known.
    #[error("{0:?}")]
    Unknown(String),
    /// It has a value that is none, or the client can't be made of it.
    #[error("{0}")]
    Refused(String),
}

/// Options that become settings of the client.
const USER: &str = "user";
const CONFIG_DIR: &str = "config_dir";
const PRINCIPAL: &str = "kerberos_principal";
const KEYTAB: &str = "kerberos_keytab";
const CACHE: &str = "kerberos_cache";
const REPLICATION: &str = "replication";

/// The smallest block that a NameNode takes by default, and what all are multiples of.
const BLOCK_BYTES_MIN: u64 = 1 << 20;

/// Properties of Hadoop that are other than its own defaults, unless they are set. A DataNode that hangs is left
/// after as long as this, by who reads; who writes has deadlines of its own. And whoever asks here asks again by
/// itself when no NameNode answers, and wants to know of it before the minutes that the library would take.
const DEFAULTS: [(&str, &str); 5] = [
    // A block that loses a DataNode goes on with the others where there is none to take its place.
    ("dfs.client.block.write.replace-datanode-on-failure.best-effort", "true"),
    ("dfs.client.socket-timeout", "5000"),
    ("dfs.client.failover.max.attempts", "3"),
    ("dfs.client.failover.sleep.base.millis", "100"),
    ("dfs.client.failover.sleep.max.millis", "1000"),
];

impl Hdfs {
    /// The folder `path` of the HDFS at `authority`, a NameNode's `HOST:PORT` or a name service. Options are those of
    /// `docs/operations/hdfs.md`; whatever has a dot in its name is a property of Hadoop. Files of write-ahead logs
    /// will have about `log_file_bytes`. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`HdfsOptionError`].
    pub(crate) fn open(
        authority: &str,
        path: &str,
        options: &BTreeMap<String, String>,
        log_file_bytes: u64,
        runtime: Runtime,
    ) -> Result<Self, HdfsOptionError> {
        let refused = |error: HdfsError| HdfsOptionError::Refused(error.to_string());
        let mut builder = ClientBuilder::new().with_url(format!("hdfs://{authority}"));
        let mut properties: HashMap<String, String> =
            DEFAULTS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut replication = None;
        for (name, value) in options {
            builder = match name.as_str() {
                USER => builder.with_user(value),
                CONFIG_DIR => builder.with_config_dir(value),
                PRINCIPAL => builder.with_kerberos_principal(value),
                KEYTAB => builder.with_kerberos_keytab(value),
                CACHE => builder.with_kerberos_cache(value),
                REPLICATION => {
                    let copies = value.parse().ok().filter(|copies| *copies > 0);
                    let refused = || format!("{REPLICATION} is {value:?}, not a number above 0");
                    replication = Some(copies.ok_or_else(|| HdfsOptionError::Refused(refused()))?);
                    builder
                }
                property if property.contains('.') => {
                    properties.insert(name.clone(), value.clone());
                    builder
                }
                _ => return Err(HdfsOptionError::Unknown(name.clone())),
            };
        }
        let client = builder.with_config(properties).build().map_err(refused)?;
        let root = path.trim_end_matches('/').to_owned();
        let log_block_bytes = log_file_bytes.max(BLOCK_BYTES_MIN).next_multiple_of(CHECKSUM_BYTES);
        let settings = Settings { replication, log_block_bytes };
        let authority = authority.to_owned();
        Ok(Self {
            client,
            authority,
            root,
            runtime,
            settings,
            copies: Arc::new(Copies::new(replication)),
        })
    }

    /// The path of something below the folder.
    fn path(&self, below: &str) -> String {
        format!("{}/{below}", self.root)
    }
}

impl std::fmt::Debug for Hdfs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hdfs({})", self.root)
    }
}
