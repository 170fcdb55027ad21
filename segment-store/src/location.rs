//! Where a store is, and how it is reached: URLs and options become object stores.
//!
//! Requests are not retried below this crate: what becomes of a conditional create that failed is
//! decided in one place (`journal::object`), and a client that repeats one by itself hides its own
//! success from it.

mod asia;

use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use object_store::{
    ObjectStore, ObjectStoreScheme, RetryConfig, aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder, limit::LimitStore,
    local::LocalFileSystem, path::Path, prefix::PrefixStore,
};
use url::Url;

use asia::Asia;
use weir_runtime::Runtime;

use crate::{
    hdfs::{Hdfs, HdfsOptionError},
    journal::append::AppendStore,
};

/// How many requests are with a store at the same time, if the options do not say.
const REQUESTS_MAX: usize = 256;
/// The option that says it.
const REQUESTS_OPTION: &str = "requests_max";
/// What the options say unless they are told otherwise.
const DEFAULTS: [(&str, &str); 2] = [("connect_timeout", "2 seconds"), ("timeout", "60 seconds")];

/// Where a store is.
#[derive(Clone, Debug)]
pub struct Location {
    url: Url,
    kind: Kind,
    /// What all objects' names begin with there.
    prefix: Path,
    options: BTreeMap<String, String>,
    requests_max: usize,
}

/// Whose store it is.
#[derive(Clone, Debug)]
enum Kind {
    /// One that `object_store` knows.
    Known(ObjectStoreScheme),
    /// One that it does not.
    Asia(Asia),
    /// A folder of an HDFS.
    Hdfs,
}

/// A store that is open.
pub struct Opened {
    /// Its objects.
    pub objects: Arc<dyn ObjectStore>,
    /// Its files, where write-ahead logs are appended to instead of made of objects.
    pub files: Option<Arc<dyn AppendStore>>,
}

/// Why a location can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// It is no URL of a store.
    #[error(
        "store.url is {url:?}; write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, \
         oss://BUCKET/PREFIX, cos://BUCKET/PREFIX, hdfs://NAMENODE:PORT/FOLDER or file:///DIRECTORY"
    )]
    Malformed {
        /// What was written.
        url: String,
    },
    /// An option is not known.
    #[error("store.options has {option:?}, which {scheme}:// does not know; see docs/operations")]
    UnknownOption {
        /// Its name.
        option: String,
        /// The kind of store.
        scheme: String,
    },
    /// The options do not fit together, or one has a value that is none.
    #[error("store {url} can't be used with its options: {reason}")]
    Refused {
        /// The store.
        url: String,
        /// Why.
        reason: String,
    },
}

impl Location {
    /// The store at `url`, with options as the store's client takes them (`endpoint`, `region`,
    /// `access_key_id`, …), and `requests_max`.
    ///
    /// # Errors
    /// [`LocationError`].
    pub fn parse(url: &str, options: &BTreeMap<String, String>) -> Result<Self, LocationError> {
        let malformed = || LocationError::Malformed { url: url.to_owned() };
        let parsed = Url::parse(url).map_err(|_| malformed())?;
        if parsed.scheme() == "obs" {
            let reason = "a create can't be made conditional there by this way; try s3:// with the store's \
                          endpoint, which is refused at the start if it does not keep the condition";
            let (url, reason) = (url.to_owned(), reason.to_owned());
            return Err(LocationError::Refused { url, reason });
        }
        if parsed.scheme() == "webhdfs" || parsed.scheme() == "swebhdfs" {
            let reason = "WebHDFS has no hsync and no recovery of leases, so that no write-ahead log is safe \
                          there; use hdfs:// and the NameNode's RPC address";
            let (url, reason) = (url.to_owned(), reason.to_owned());
            return Err(LocationError::Refused { url, reason });
        }
        let (kind, prefix) = match Asia::of(parsed.scheme()) {
            None if parsed.scheme() == "hdfs" => (Kind::Hdfs, Path::default()),
            Some(asia) => {
                let path = Path::from_url_path(parsed.path()).map_err(|_| malformed())?;
                (Kind::Asia(asia), path)
            }
            None => {
                let (scheme, prefix) =
                    ObjectStoreScheme::parse(&parsed).map_err(|_| malformed())?;
                (Kind::Known(scheme), prefix)
            }
        };
        let has_place = match kind {
            Kind::Known(ObjectStoreScheme::Local) => parsed.path().len() > 1,
            Kind::Known(
                ObjectStoreScheme::AmazonS3
                | ObjectStoreScheme::GoogleCloudStorage
                | ObjectStoreScheme::MicrosoftAzure,
            )
            | Kind::Asia(_) => parsed.has_host(),
            // The root of an HDFS belongs to everybody.
            Kind::Hdfs => parsed.has_host() && !parsed.path().trim_matches('/').is_empty(),
            Kind::Known(_) => false,
        };
        if !has_place {
            return Err(malformed());
        }
        let mut options = options.clone();
        let requests_max = match options.remove(REQUESTS_OPTION) {
            None => REQUESTS_MAX,
            Some(text) => text.parse().ok().filter(|count| *count > 0).ok_or_else(|| {
                let reason = format!("{REQUESTS_OPTION} is {text:?}, not a number above 0");
                LocationError::Refused { url: url.to_owned(), reason }
            })?,
        };
        Ok(Self { url: parsed, kind, prefix, options, requests_max })
    }

    /// Whether it is a directory of this machine.
    pub fn is_local(&self) -> bool {
        matches!(self.kind, Kind::Known(ObjectStoreScheme::Local))
    }

    /// Whether what is sent is protected by TLS: then it need not be summed for its signature too, which
    /// costs more than all else that is done to it. The option `unsigned_payload` says otherwise.
    fn is_encrypted(&self) -> bool {
        let plain = |endpoint: &String| endpoint.starts_with("http://");
        !self.options.get("endpoint").is_some_and(plain)
    }

    /// The store. Nothing is asked of it yet. Files of write-ahead logs will have about `log_file_bytes`.
    ///
    /// # Errors
    /// [`LocationError`].
    pub fn open(&self, runtime: &Runtime, log_file_bytes: u64) -> Result<Opened, LocationError> {
        if let Kind::Hdfs = self.kind {
            let hdfs = self.hdfs(runtime, log_file_bytes)?;
            let objects = LimitStore::new(hdfs.clone(), self.requests_max);
            return Ok(Opened { objects: Arc::new(objects), files: Some(Arc::new(hdfs)) });
        }
        Ok(Opened { objects: self.open_objects()?, files: None })
    }

    fn hdfs(&self, runtime: &Runtime, log_file_bytes: u64) -> Result<Hdfs, LocationError> {
        let (authority, path) = (self.url.authority(), self.url.path());
        let opened = Hdfs::open(authority, path, &self.options, log_file_bytes, runtime.clone());
        opened.map_err(|error| match error {
            HdfsOptionError::Unknown(option) => self.unknown(&option),
            refused @ HdfsOptionError::Refused(_) => self.refused(&refused),
        })
    }

    fn open_objects(&self) -> Result<Arc<dyn ObjectStore>, LocationError> {
        let (url, retry) = (self.url.as_str(), no_retries());
        let store: Arc<dyn ObjectStore> = match self.kind {
            Kind::Asia(asia) => self.asian(asia)?,
            Kind::Known(ObjectStoreScheme::AmazonS3) => {
                let builder = AmazonS3Builder::from_env().with_url(url).with_retry(retry);
                let builder = builder.with_unsigned_payload(self.is_encrypted());
                let builder = self.configured(builder, AmazonS3Builder::with_config)?;
                Arc::new(builder.build().map_err(|error| self.refused(&error))?)
            }
            Kind::Known(ObjectStoreScheme::GoogleCloudStorage) => {
                let builder = GoogleCloudStorageBuilder::from_env().with_url(url).with_retry(retry);
                let builder = self.configured(builder, GoogleCloudStorageBuilder::with_config)?;
                Arc::new(builder.build().map_err(|error| self.refused(&error))?)
            }
            Kind::Known(ObjectStoreScheme::MicrosoftAzure) => {
                let builder = MicrosoftAzureBuilder::from_env().with_url(url).with_retry(retry);
                let builder = self.configured(builder, MicrosoftAzureBuilder::with_config)?;
                Arc::new(builder.build().map_err(|error| self.refused(&error))?)
            }
            Kind::Known(_) | Kind::Hdfs => return self.directory(),
        };
        let store = LimitStore::new(store, self.requests_max);
        Ok(match self.prefix.as_ref() {
            "" => Arc::new(store),
            _ => Arc::new(PrefixStore::new(store, self.prefix.clone())),
        })
    }

    fn asian(&self, asia: Asia) -> Result<Arc<dyn ObjectStore>, LocationError> {
        if let Some(option) = self.options.keys().find(|option| !asia.knows(option)) {
            return Err(self.unknown(option));
        }
        let bucket = self.url.host_str().unwrap_or_default();
        asia.open(bucket, &self.options).map_err(|error| self.refused(&error))
    }

    fn directory(&self) -> Result<Arc<dyn ObjectStore>, LocationError> {
        if let Some(option) = self.options.keys().next() {
            return Err(self.unknown(option));
        }
        let path = self
            .url
            .to_file_path()
            .map_err(|()| LocationError::Malformed { url: self.url.to_string() })?;
        let made = std::fs::create_dir_all(&path);
        made.map_err(|error| self.refused(&error))?;
        let store =
            LocalFileSystem::new_with_prefix(&path).map_err(|error| self.refused(&error))?;
        Ok(Arc::new(store.with_fsync(true)))
    }

    fn configured<B, K: FromStr>(
        &self,
        builder: B,
        set: impl Fn(B, K, String) -> B,
    ) -> Result<B, LocationError> {
        let mut options = self.options.clone();
        if options.get("endpoint").is_some_and(|endpoint| endpoint.starts_with("http://")) {
            options.entry("allow_http".to_owned()).or_insert_with(|| "true".to_owned());
        }
        for (name, value) in DEFAULTS {
            options.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        options.into_iter().try_fold(builder, |builder, (name, value)| {
            let key = name.parse().map_err(|_| self.unknown(&name))?;
            Ok(set(builder, key, value))
        })
    }

    fn unknown(&self, option: &str) -> LocationError {
        let scheme = self.url.scheme().to_owned();
        LocationError::UnknownOption { option: option.to_owned(), scheme }
    }

    fn refused(&self, error: &dyn std::error::Error) -> LocationError {
        LocationError::Refused { url: self.url.to_string(), reason: error.to_string() }
    }
}

fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn error(url: &str, of: &[(&str, &str)]) -> String {
        let location = Location::parse(url, &options(of));
        location
            .and_then(|location| location.open(&Runtime::system(), 1).map(drop))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_is_no_store_is_said_to_be_none() {
        for url in ["s3://", "ftp://a/b", "bucket", "file:///", "memory:///", "http://a/b"] {
            let error = error(url, &[]);
            assert!(error.contains(url) && error.contains("s3://BUCKET"), "{error}");
        }
    }

    #[test]
    fn options_are_known_and_have_values() {
        let said = error("s3://b/p", &[("regoin", "x")]);
        assert!(said.contains("\"regoin\"") && said.contains("s3://"), "{said}");
        let said = error("file:///tmp", &[("region", "x")]);
        assert!(said.contains("\"region\""), "{said}");
        let said = error("s3://b", &[("requests_max", "0")]);
        assert!(said.contains("requests_max"), "{said}");
        let said = error("s3://b", &[("connect_timeout", "soon")]);
        assert!(said.contains("soon"), "{said}");
    }

    #[test]
    fn stores_that_another_library_reaches_are_opened_too() {
        let own = [("endpoint", "https://oss-cn-hangzhou.aliyuncs.com"), ("access_key_id", "id")];
        for url in ["oss://bucket", "oss://bucket/a/prefix"] {
            Location::parse(url, &options(&own)).unwrap().open(&Runtime::system(), 1).unwrap();
        }
        let own = [("endpoint", "https://cos.ap-beijing.myqcloud.com"), ("secret_id", "id")];
        Location::parse("cos://bucket/prefix", &options(&own))
            .unwrap()
            .open(&Runtime::system(), 1)
            .unwrap();
        let said = error("oss://b", &[("secret_id", "x")]);
        assert!(said.contains("\"secret_id\"") && said.contains("oss://"), "{said}");
        let said = error("oss://b", &[]);
        assert!(said.contains("endpoint"), "{said}");
        let said = error("oss://", &[]);
        assert!(said.contains("oss://BUCKET"), "{said}");
        let own = options(&[("user", "weir"), ("dfs.client.use.datanode.hostname", "true")]);
        let hdfs = Location::parse("hdfs://namenode:8020/weir", &own).unwrap();
        assert!(hdfs.open(&Runtime::system(), 1).unwrap().files.is_some());
        let said = error("hdfs://namenode:8020/", &[]);
        assert!(said.contains("hdfs://namenode:8020/"), "{said}");
        let said = error("hdfs://namenode:8020/weir", &[("usr", "x")]);
        assert!(said.contains("\"usr\"") && said.contains("hdfs://"), "{said}");
        let said = error("webhdfs://namenode:9870/weir", &[]);
        assert!(said.contains("hsync"), "{said}");
        let said = error("obs://b/p", &[]);
        assert!(said.contains("obs://b/p") && said.contains("s3://"), "{said}");
    }

    #[test]
    fn stores_are_opened_without_asking_them() {
        let own = [("endpoint", "http://127.0.0.1:1"), ("region", "us-east-1")];
        for url in ["s3://bucket", "s3://bucket/a/prefix"] {
            Location::parse(url, &options(&own)).unwrap().open(&Runtime::system(), 1).unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        let url = format!("file://{}/new", directory.path().display());
        let location = Location::parse(&url, &BTreeMap::new()).unwrap();
        assert!(location.is_local());
        location.open(&Runtime::system(), 1).unwrap();
        assert!(directory.path().join("new").is_dir());
    }
}
