//! Who may change the cluster over HTTP.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header, uri::Authority};

use super::problem::Problem;

/// Who may change the cluster.
#[derive(Clone, PartialEq, Eq)]
pub enum Access {
    /// Who knows this.
    Token(String),
    /// Who is on this machine: nobody else reaches the address that is listened on.
    Local,
    /// Nobody.
    Nobody,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::Local => "Local",
            Self::Nobody => "Nobody",
        })
    }
}

impl Access {
    /// With a token: who knows it; without, whoever reaches `listen` if that is a loopback address. An empty
    /// one, as of a variable that was left empty, is none: everybody would know it.
    pub fn new(token: Option<String>, listen: &str) -> Self {
        match token.filter(|token| !token.is_empty()) {
            Some(token) => Self::Token(token),
            None if is_local(listen) => Self::Local,
            None => Self::Nobody,
        }
    }

    /// Whether a request with these headers may change something.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self {
            Self::Token(token) if bearer(headers).is_some_and(|it| same(it, token)) => Ok(()),
            Self::Token(_) => {
                let message = "changes need the header \"Authorization: Bearer TOKEN\" with the value \
                               of http.admin_token";
                Err(Problem::new(StatusCode::UNAUTHORIZED, message))
            }
            // A page elsewhere can make a browser here send a request, under a name that it has given to
            // a loopback address.
            Self::Local if host(headers).is_some_and(|host| is_local(&host)) => Ok(()),
            Self::Local => {
                let message = "without http.admin_token, changes need the header \"Host\" with \
                               localhost or a loopback address";
                Err(Problem::new(StatusCode::FORBIDDEN, message))
            }
            Self::Nobody => {
                let message = "changes are refused at an address that others reach; set \
                               http.admin_token, or http.listen to a loopback address";
                Err(Problem::new(StatusCode::FORBIDDEN, message))
            }
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// In a time that does not tell where they differ.
fn same(a: &str, b: &str) -> bool {
    let differ = |(a, b): (u8, u8)| a ^ b;
    a.len() == b.len() && a.bytes().zip(b.bytes()).map(differ).fold(0, |all, one| all | one) == 0
}

fn host(headers: &HeaderMap) -> Option<String> {
    headers.get(header::HOST)?.to_str().ok().map(str::to_owned)
}

/// Whether `HOST:PORT` is an address that only this machine reaches.
fn is_local(address: &str) -> bool {
    let Ok(authority) = address.parse::<Authority>() else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
