//! Where an etcd is, and who we are to it.

use std::{collections::BTreeMap, fs, path::Path};

use etcd_client::{Certificate, Identity, TlsOptions};

/// What an address begins with.
const SCHEME: &str = "etcd://";
/// The same, over TLS.
const SECURE: &str = "etcds://";

/// Where an etcd is, and who we are to it.
///
/// `etcd://HOST:PORT,HOST:PORT,…[/ROOT]`, or `etcds://…` over TLS. Keys begin with `ROOT/`, or `weir/`.
#[derive(Clone)]
pub struct Address {
    pub(super) endpoints: Vec<String>,
    pub(super) root: String,
    pub(super) user: Option<(String, String)>,
    pub(super) tls: Option<TlsOptions>,
}

/// What is wrong with an address or its options.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It is no such address.
    #[error("{found:?} is no address of an etcd; write etcd://HOST:PORT,HOST:PORT/ROOT")]
    Malformed {
        /// The address.
        found: String,
    },
    /// There is no such option.
    #[error(
        "there is no option {found:?} for etcd; known are user, password, ca_file, cert_file, key_file"
    )]
    UnknownOption {
        /// Its name.
        found: String,
    },
    /// An option needs another.
    #[error("option {has:?} for etcd needs {needs:?} too")]
    Incomplete {
        /// The option.
        has: &'static str,
        /// The other.
        needs: &'static str,
    },
    /// Files for TLS, and an address without.
    #[error("option {has:?} is for etcds:// addresses only")]
    NotSecure {
        /// The option.
        has: &'static str,
    },
    /// A file can't be read.
    #[error("{file:?}, which option {option:?} for etcd names, can't be read: {error}")]
    File {
        /// The option.
        option: &'static str,
        /// The file.
        file: String,
        /// Why.
        error: std::io::Error,
    },
}

impl Address {
    /// Whether `url` is meant to be one.
    pub fn is_one(url: &str) -> bool {
        url.starts_with(SCHEME) || url.starts_with(SECURE)
    }

    /// The address `url`, with the options that go with it.
    ///
    /// # Errors
    /// An [`AddressError`].
    pub fn parse(url: &str, options: &BTreeMap<String, String>) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed { found: url.to_owned() };
        let (scheme, rest) = match (url.strip_prefix(SCHEME), url.strip_prefix(SECURE)) {
            (Some(rest), _) => ("http", rest),
            (_, Some(rest)) => ("https", rest),
            _ => return Err(malformed()),
        };
        let (hosts, root) = rest.split_once('/').unwrap_or((rest, ""));
        let endpoints: Vec<String> =
            hosts.split(',').map(|host| format!("{scheme}://{host}")).collect();
        let has_port = |host: &str| {
            host.rsplit_once(':').is_some_and(|(name, port)| {
                !name.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            })
        };
        if !hosts.split(',').all(has_port) {
            return Err(malformed());
        }
        let root = match root.trim_matches('/') {
            "" => "weir/".to_owned(),
            root => format!("{root}/"),
        };
        let options = Options::new(options)?;
        let user = options.pair("user", "password")?;
        let tls = match scheme {
            "https" => Some(options.tls()?),
            _ => options.without_tls().map(|()| None)?,
        };
        Ok(Self { endpoints, root, user, tls })
    }
}

/// Options, all of them known.
struct Options<'a>(&'a BTreeMap<String, String>);

const FILES: [&str; 3] = ["ca_file", "cert_file", "key_file"];

impl<'a> Options<'a> {
    fn new(options: &'a BTreeMap<String, String>) -> Result<Self, AddressError> {
        let known = |name: &str| FILES.contains(&name) || ["user", "password"].contains(&name);
        match options.keys().find(|name| !known(name)) {
            Some(found) => Err(AddressError::UnknownOption { found: found.clone() }),
            None => Ok(Self(options)),
        }
    }

    fn pair(
        &self,
        one: &'static str,
        other: &'static str,
    ) -> Result<Option<(String, String)>, AddressError> {
        match (self.0.get(one), self.0.get(other)) {
            (Some(one), Some(other)) => Ok(Some((one.clone(), other.clone()))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(AddressError::Incomplete { has: one, needs: other }),
            (None, Some(_)) => Err(AddressError::Incomplete { has: other, needs: one }),
        }
    }

    fn without_tls(&self) -> Result<(), AddressError> {
        match FILES.into_iter().find(|name| self.0.contains_key(*name)) {
            Some(has) => Err(AddressError::NotSecure { has }),
            None => Ok(()),
        }
    }

    fn tls(&self) -> Result<TlsOptions, AddressError> {
        let mut tls = TlsOptions::new();
        tls = match self.0.get("ca_file") {
            Some(file) => tls.ca_certificate(Certificate::from_pem(read("ca_file", file)?)),
            None => tls.with_native_roots(),
        };
        if let Some((cert, key)) = self.pair("cert_file", "key_file")? {
            let (cert, key) = (read("cert_file", &cert)?, read("key_file", &key)?);
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        Ok(tls)
    }
}

fn read(option: &'static str, file: &str) -> Result<Vec<u8>, AddressError> {
    fs::read(Path::new(file)).map_err(|error| AddressError::File {
        option,
        file: file.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn address(url: &str) -> Result<Address, AddressError> {
        Address::parse(url, &BTreeMap::new())
    }

    #[test]
    fn endpoints_and_root_are_taken_from_the_url() {
        let three = address("etcd://a:2379,10.0.0.2:2380,[::1]:2379/prod/weir").unwrap();
        assert_eq!(three.endpoints, ["http://a:2379", "http://10.0.0.2:2380", "http://[::1]:2379"]);
        assert_eq!(three.root, "prod/weir/");
        for url in ["etcd://a:1", "etcd://a:1/"] {
            assert_eq!(address(url).unwrap().root, "weir/");
        }
    }

    #[test]
    fn what_is_no_address_is_said_to_be_none() {
        for url in ["etcd://", "etcd://a", "etcd://a:x", "etcd://a:1,", "etcd://:1", "http://a:1"] {
            let error = address(url).map(drop).unwrap_err().to_string();
            assert!(error.contains(url) && error.contains("etcd://HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn options_are_known_and_complete() {
        let error = |of: &[(&str, &str)]| {
            Address::parse("etcd://a:1", &options(of)).map(drop).unwrap_err().to_string()
        };
        assert!(error(&[("usr", "x")]).contains("\"usr\""));
        assert!(error(&[("user", "x")]).contains("needs \"password\""));
        assert!(error(&[("ca_file", "x")]).contains("etcds://"));
        let both = options(&[("user", "weir"), ("password", "secret")]);
        let user = Address::parse("etcd://a:1", &both).unwrap().user;
        assert_eq!(user, Some(("weir".to_owned(), "secret".to_owned())));
        let missing = options(&[("ca_file", "/nowhere/ca.pem")]);
        let error = Address::parse("etcds://a:1", &missing).map(drop).unwrap_err().to_string();
        assert!(error.contains("/nowhere/ca.pem"), "{error}");
    }
}
