//! Answers in the words of S3 (API reference of 2006-03-01).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use bytes::Bytes;
use weir_ids::Timestamp;

use crate::objects::{Object, Objects};

/// How times are written in headers (RFC 9110, 5.6.7), and in listings.
const TIME_HTTP: &str = "%a, %d %b %Y %H:%M:%S GMT";
const TIME_XML: &str = "%Y-%m-%dT%H:%M:%S.000Z";
/// How many keys a page of a listing holds at most.
const PAGE_KEYS_MAX: usize = 1_000;

pub(crate) fn text(status: StatusCode, text: String) -> Response<Body> {
    with(status, "text/plain", text.into())
}

fn xml(status: StatusCode, text: String) -> Response<Body> {
    with(status, "application/xml", text.into())
}

fn with(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

fn error(status: StatusCode, code: &str) -> Response<Body> {
    xml(status, format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>"))
}

/// The answer to a put that made this version, or none.
pub(crate) fn put(version: Option<u64>) -> Response<Body> {
    let Some(version) = version else {
        return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
    };
    let mut response = text(StatusCode::OK, String::new());
    set(&mut response, header::ETAG, &etag(version));
    response
}

/// The answer to a get or head of an object, or of a range of it: how `send` makes a body of bytes, or none.
pub(crate) fn get(
    object: Option<&Object>,
    range: Option<&str>,
    send: impl FnOnce(Bytes) -> Body,
) -> Response<Body> {
    let Some(Object { bytes, version, written }) = object else {
        return error(StatusCode::NOT_FOUND, "NoSuchKey");
    };
    let len = bytes.len();
    let (status, from, to) = match range {
        None => (StatusCode::OK, 0, len),
        Some(range) => match bounds(range, len) {
            Some((from, to)) => (StatusCode::PARTIAL_CONTENT, from, to),
            None => return error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
        },
    };
    let mut response = with(status, "application/octet-stream", send(bytes.slice(from..to)));
    set(&mut response, header::ETAG, &etag(*version));
    set(&mut response, header::LAST_MODIFIED, &time(*written, TIME_HTTP));
    set(&mut response, header::CONTENT_LENGTH, &(to - from).to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        let shown = format!("bytes {from}-{}/{len}", to - 1);
        set(&mut response, header::CONTENT_RANGE, &shown);
    }
    response
}

fn time(at: Timestamp, format: &str) -> String {
    chrono::DateTime::from_timestamp_millis(at.0).unwrap_or_default().format(format).to_string()
}

/// The bounds that a header `range` names in an object of `len` bytes; `None` if there is nothing in them.
fn bounds(range: &str, len: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (first, last) {
        ("", suffix) => (len.saturating_sub(suffix.parse().ok()?), len),
        (first, "") => (first.parse().ok()?, len),
        (first, last) => {
            (first.parse().ok()?, last.parse::<usize>().ok()?.checked_add(1)?.min(len))
        }
    };
    (from < to).then_some((from, to))
}

/// A page of a listing (`ListObjectsV2`).
pub(crate) fn list(objects: &Objects, query: &str) -> Response<Body> {
    let parameter = |name: &str| {
        let found = query.split('&').filter_map(|pair| pair.split_once('='));
        found.filter(|(key, _)| *key == name).map(|(_, value)| decoded(value)).next()
    };
    let prefix = parameter("prefix").unwrap_or_default();
    let delimiter = parameter("delimiter").filter(|delimiter| !delimiter.is_empty());
    let after = parameter("continuation-token").or_else(|| parameter("start-after"));
    let (mut text, mut common) = (String::new(), BTreeSet::new());
    let (mut keys, mut last, mut more) = (0, String::new(), false);
    for (key, object) in objects.list(&prefix, &after.unwrap_or_default()) {
        if keys == PAGE_KEYS_MAX {
            more = true;
            break;
        }
        last.clone_from(key);
        let folder = delimiter.as_ref().and_then(|delimiter| {
            let end = key[prefix.len()..].find(delimiter.as_str())? + delimiter.len();
            Some(&key[..prefix.len() + end])
        });
        if let Some(folder) = folder {
            common.insert(folder.to_owned());
            continue;
        }
        keys += 1;
        let (size, etag) = (object.bytes.len(), etag(object.version));
        let written = time(object.written, TIME_XML);
        let _ = write!(
            text,
            "<Contents><Key>{key}</Key><LastModified>{written}</LastModified><ETag>{etag}</ETag>\
             <Size>{size}</Size></Contents>"
        );
    }
    for folder in common {
        let _ = write!(text, "<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>");
    }
    if more {
        let _ = write!(text, "<NextContinuationToken>{last}</NextContinuationToken>");
    }
    let text = format!(
        "<ListBucketResult><KeyCount>{keys}</KeyCount><IsTruncated>{more}</IsTruncated>{text}\
         </ListBucketResult>"
    );
    xml(StatusCode::OK, text)
}

/// The keys that a request to delete many names (`DeleteObjects`).
pub(crate) fn keys_in(body: &Bytes) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
    keys.map(|(key, _)| key.to_owned()).collect()
}

/// The answer to that.
pub(crate) fn deleted(keys: &[String]) -> Response<Body> {
    let keys: String =
        keys.iter().map(|key| format!("<Deleted><Key>{key}</Key></Deleted>")).collect();
    xml(StatusCode::OK, format!("<DeleteResult>{keys}</DeleteResult>"))
}

fn etag(version: u64) -> String {
    format!("\"{version:x}\"")
}

fn set(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

/// What a part of a query says.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = behind;
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
