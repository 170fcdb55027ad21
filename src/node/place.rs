//! Where a node keeps what: the part of the configuration that decides which implementations run.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::{config::Config, data_dir::DataDir};

/// Directories of a node that keeps everything on its own disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Write-ahead logs and objects.
    pub(crate) data: PathBuf,
    /// Metadata; `None`: with the data.
    meta: Option<PathBuf>,
}

const ROLES: [&str; 4] = ["broker", "coordinator", "proxy", "controller"];

impl Place {
    /// Everything in `data`.
    pub(crate) fn one(data: &Path) -> Self {
        Self { data: data.to_owned(), meta: None }
    }

    /// What the configuration says.
    ///
    /// # Errors
    /// When it asks for what this version does not serve.
    pub(crate) fn of(config: &Config) -> Result<Self> {
        let Some(meta) = config.meta.url.strip_prefix("embedded://") else {
            bail!(
                "meta.url is {:?}, but this version serves only embedded:///DIRECTORY",
                config.meta.url
            );
        };
        let Some(data) = config.store.url.strip_prefix("file://") else {
            bail!(
                "store.url is {:?}, but this version serves only file:///DIRECTORY",
                config.store.url
            );
        };
        if let Some(option) = config.store.options.keys().next() {
            bail!("store.options has {option:?}, but file:// takes no options");
        }
        if config.rpc.listen.is_some() || config.rpc.advertise.is_some() {
            bail!("[rpc] is set, but a node with embedded metadata is alone; remove the section");
        }
        let mut roles: Vec<&str> = config.node.roles.iter().map(String::as_str).collect();
        if let Some(unknown) = roles.iter().find(|role| !ROLES.contains(role)) {
            bail!("node.roles has {unknown:?}; the roles are {}", ROLES.join(", "));
        }
        roles.sort_unstable();
        roles.dedup();
        if roles.len() != ROLES.len() {
            bail!(
                "node.roles lacks some of {}; a node with embedded metadata is alone and needs all",
                ROLES.join(", ")
            );
        }
        let meta = (meta != data).then(|| PathBuf::from(meta));
        Ok(Self { data: data.into(), meta })
    }

    /// The directory of the metadata.
    pub(crate) fn meta_in(&self, data: &DataDir) -> PathBuf {
        self.meta.clone().unwrap_or_else(|| data.path().to_owned())
    }
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

    #[test]
    fn what_is_not_served_is_named() {
        let error = |config: &Config| Place::of(config).unwrap_err().to_string();
        assert!(error(&config("etcd://a:2379", "file:///d")).contains("meta.url is \"etcd"));
        assert!(error(&config("embedded:///d", "s3://b")).contains("store.url is \"s3"));
        let mut some = config("embedded:///d", "file:///d");
        some.node.roles = vec!["broker".to_owned()];
        assert!(error(&some).contains("needs all"));
        some.node.roles = vec!["brocker".to_owned()];
        assert!(error(&some).contains("\"brocker\""));
    }

    #[test]
    fn directories_are_taken_from_the_urls() {
        let place = Place::of(&config("embedded:///m", "file:///d")).unwrap();
        assert_eq!(place, Place { data: "/d".into(), meta: Some("/m".into()) });
        assert_eq!(
            Place::of(&config("embedded:///d", "file:///d")).unwrap(),
            Place::one(Path::new("/d"))
        );
    }
}
