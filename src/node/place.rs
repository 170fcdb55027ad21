//! Where a node keeps what: the part of the configuration that decides which implementations run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use weir_meta::store::etcd;
use weir_segment_store::Location;

use super::Roles;
use crate::config::Config;

/// What a metadata address of one machine begins with.
const EMBEDDED: &str = "embedded://";

/// Where a node keeps what.
pub(crate) enum Place {
    /// Everything on its own disk: it is alone, and has all roles.
    Alone(Directories),
    /// The metadata in etcd, the records in a store that all nodes reach.
    Cluster(Box<Shared>),
}

/// Directories of a node that keeps everything on its own disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Directories {
    /// Write-ahead logs and objects.
    pub(crate) data: PathBuf,
    /// Metadata; `None`: with the data.
    pub(crate) meta: Option<PathBuf>,
}

/// What the nodes of a cluster share.
pub(crate) struct Shared {
    pub(crate) meta: etcd::Address,
    pub(crate) store: Location,
    pub(crate) roles: Roles,
    /// Where other nodes reach this one.
    pub(crate) rpc: Rpc,
}

/// Where other nodes reach this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rpc {
    pub(crate) listen: String,
    pub(crate) advertise: Option<String>,
}

impl Place {
    /// Everything in `data`.
    pub(crate) fn one(data: &Path) -> Self {
        Self::Alone(Directories { data: data.to_owned(), meta: None })
    }

    /// Where the data is, for the line that says that the node is ready.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Alone(directories) => format!(", data in {}", directories.data.display()),
            Self::Cluster(_) => String::new(),
        }
    }

    /// What the configuration says.
    ///
    /// # Errors
    /// When it makes no sense.
    pub(crate) fn of(config: &Config) -> Result<Self> {
        let url = &config.meta.url;
        let roles = Roles::parse(&config.node.roles)?;
        if let Some(meta) = url.strip_prefix(EMBEDDED) {
            return Ok(Self::Alone(alone(config, roles, meta)?));
        }
        if !etcd::Address::is_one(url) {
            bail!("meta.url is {url:?}; write embedded:///DIRECTORY or etcd://HOST:PORT,HOST:PORT");
        }
        let meta = etcd::Address::parse(url, &config.meta.options).context("[meta]")?;
        let store = Location::parse(&config.store.url, &config.store.options)?;
        let listen = config.rpc.listen.clone().context(
            "rpc.listen is not set; a node of a cluster needs an address for the others, e.g. \
             0.0.0.0:9650",
        )?;
        let rpc = Rpc { listen, advertise: config.rpc.advertise.clone() };
        Ok(Self::Cluster(Box::new(Shared { meta, store, roles, rpc })))
    }
}

fn alone(config: &Config, roles: Roles, meta: &str) -> Result<Directories> {
    let Some(data) = config.store.url.strip_prefix("file://") else {
        bail!(
            "store.url is {:?}, but a node with embedded metadata is alone and keeps its records at \
             file:///DIRECTORY; several nodes need meta.url = \"etcd://…\"",
            config.store.url
        );
    };
    if let Some(option) = config.store.options.keys().next() {
        bail!("store.options has {option:?}, but file:// takes no options");
    }
    if let Some(option) = config.meta.options.keys().next() {
        bail!("meta.options has {option:?}, but embedded:// takes no options");
    }
    if config.rpc.listen.is_some() || config.rpc.advertise.is_some() {
        bail!("[rpc] is set, but a node with embedded metadata is alone; remove the section");
    }
    if roles != Roles::ALL {
        bail!(
            "node.roles lacks some of {}; a node with embedded metadata is alone and needs all",
            Roles::ALL
        );
    }
    let meta = (meta != data).then(|| PathBuf::from(meta));
    Ok(Directories { data: data.into(), meta })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(meta: &str, store: &str) -> Config {
        let mut config = Config::default();
        config.meta.url = meta.to_owned();
        config.store.url = store.to_owned();
        config
    }

    fn error(config: &Config) -> String {
        Place::of(config).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert!(
            error(&config("zookeeper://a:2181", "file:///d")).contains("\"zookeeper://a:2181\"")
        );
        assert!(error(&config("embedded:///d", "s3://b")).contains("store.url is \"s3://b\""));
        assert!(error(&config("etcd://a:2379", "s3://b")).contains("rpc.listen"));
        let mut cluster = config("etcd://a:2379", "ftp://b");
        cluster.rpc.listen = Some("0.0.0.0:9650".to_owned());
        assert!(error(&cluster).contains("\"ftp://b\""));
        let mut some = config("embedded:///d", "file:///d");
        some.node.roles = vec!["broker".to_owned()];
        assert!(error(&some).contains("needs all"));
    }

    #[test]
    fn directories_are_taken_from_the_urls() {
        let directories = |config: &Config| match Place::of(config).unwrap() {
            Place::Alone(directories) => directories,
            Place::Cluster(_) => panic!("it is alone"),
        };
        let apart = directories(&config("embedded:///m", "file:///d"));
        assert_eq!(apart, Directories { data: "/d".into(), meta: Some("/m".into()) });
        let together = directories(&config("embedded:///d", "file:///d"));
        assert_eq!(together, Directories { data: "/d".into(), meta: None });
    }

    #[test]
    fn a_node_of_a_cluster_has_the_roles_that_it_is_given() {
        let mut cluster = config("etcd://a:2379,b:2379", "s3://bucket/prefix");
        cluster.rpc.listen = Some("0.0.0.0:9650".to_owned());
        cluster.node.roles = vec!["proxy".to_owned()];
        let Place::Cluster(shared) = Place::of(&cluster).unwrap() else { panic!("a cluster") };
        assert_eq!(shared.roles.to_string(), "proxy");
    }
}
