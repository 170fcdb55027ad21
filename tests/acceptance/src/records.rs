//! The records that clients write and read back, derived from a number, and the lines of JSON in which
//! client programs speak of them (see `tests/clients/README.md`).

use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// When the first record says that it was made.
const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;

/// Bytes that are shown in hexadecimal.
#[derive(Clone, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl Hex {
    /// The bytes of a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self(text.into().into_bytes())
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// As text where it is one, for a person who looks for a difference.
impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) => write!(f, "{text:?}"),
            Err(_) => write!(f, "0x{self}"),
        }
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        bytes.map(Hex).ok_or_else(|| de::Error::custom("not hexadecimal"))
    }
}

/// A record as a client hands it over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The partition that it goes to.
    #[serde(rename = "p")]
    pub partition: i32,
    /// Its key.
    #[serde(rename = "k")]
    pub key: Option<Hex>,
    /// Its value.
    #[serde(rename = "v")]
    pub value: Option<Hex>,
    /// Its headers in order; names may repeat.
    #[serde(rename = "h")]
    pub headers: Vec<(String, Option<Hex>)>,
    /// When it was made, in milliseconds.
    #[serde(rename = "t")]
    pub timestamp: i64,
}

/// A record as it is read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its offset.
    #[serde(rename = "o")]
    pub offset: i64,
    /// What was read.
    #[serde(flatten)]
    pub record: Record,
}

/// Where a record was put, as its producer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The partition.
    #[serde(rename = "p")]
    pub partition: i32,
    /// The offset in it.
    #[serde(rename = "o")]
    pub offset: i64,
}

/// What records look like, for clients that can't say everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Lines of text, all with the same headers (kcat).
    ConstantHeaders,
    /// Lines of text (Kafka's console tools).
    Lines,
    /// With nulls, empty texts, no headers, repeated headers; printable.
    Rich,
    /// The same with bytes that are no text.
    Binary,
}

impl Profile {
    /// The number of partitions to write to: tools for lines can't choose one.
    pub fn partitions(self) -> i32 {
        match self {
            Profile::ConstantHeaders | Profile::Lines => 1,
            Profile::Rich | Profile::Binary => 3,
        }
    }

    /// Record number `index`.
    pub fn record(self, index: u32) -> Record {
        let rich = matches!(self, Profile::Rich | Profile::Binary);
        let mut value = format!("value-{index}-{}", filler(index));
        let mut key = Some(Hex::text(format!("key-{index}")));
        if rich && index % 10 == 3 {
            key = None;
        }
        if rich && index % 10 == 4 {
            key = Some(Hex::text(""));
        }
        if rich && index % 10 == 5 {
            value.clear();
        }
        let mut value = Some(Hex::text(value));
        if rich && index % 10 == 6 {
            value = None;
        }
        if self == Profile::Binary && index % 2 == 1 {
            value = Some(Hex((0..=255).map(|byte: u8| byte.wrapping_mul(index as u8)).collect()));
        }
        let number = i64::from(index);
        Record {
            partition: (index % u32::try_from(self.partitions()).unwrap_or(1)).cast_signed(),
            key,
            value,
            headers: self.headers(index),
            // Not in order, so that a batch's largest timestamp is not its last.
            timestamp: FIRST_TIMESTAMP + number * 10 + number * 7 % 100,
        }
    }

    fn headers(self, index: u32) -> Vec<(String, Option<Hex>)> {
        let header = |name: &str, value: String| (name.to_owned(), Some(Hex::text(value)));
        if self == Profile::ConstantHeaders {
            return vec![header("note", "the same".to_owned())];
        }
        let mut headers =
            vec![header("index", index.to_string()), header("note", format!("über-{}", index % 7))];
        if self != Profile::Lines {
            match index % 4 {
                0 => headers.clear(),
                1 => headers.push(header("note", "again".to_owned())),
                2 => headers.push(header("empty", String::new())),
                _ => {}
            }
        }
        headers
    }
}

/// Text of a length between 0 and 299 that compresses somewhat.
fn filler(index: u32) -> String {
    let mut state = u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let length = (state >> 40) % 300;
    let letter = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'a' + (state % 7) as u8)
    };
    (0..length).map(letter).collect()
}

/// Writes `values` as lines of JSON.
pub fn to_lines<T: Serialize>(values: &[T]) -> Result<String> {
    let mut lines = String::new();
    for value in values {
        lines.push_str(&serde_json::to_string(value)?);
        lines.push('\n');
    }
    Ok(lines)
}

/// Reads lines of JSON.
///
/// # Errors
/// When a line is something else; the message has the line.
pub fn from_lines<T: de::DeserializeOwned>(lines: &str) -> Result<Vec<T>> {
    let parse = |line| serde_json::from_str(line).with_context(|| format!("not a record: {line}"));
    lines.lines().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_round_trip() {
        let records: Vec<Record> = (0..40).map(|index| Profile::Binary.record(index)).collect();
        let lines = to_lines(&records).unwrap();
        assert_eq!(from_lines::<Record>(&lines).unwrap(), records);
        let stored = Stored { offset: 7, record: records[3].clone() };
        let line = to_lines(std::slice::from_ref(&stored)).unwrap();
        assert!(line.starts_with("{\"o\":7,\"p\":0,\"k\":null,"), "{line}");
        assert_eq!(from_lines::<Stored>(&line).unwrap(), [stored]);
    }

    #[test]
    fn every_peculiarity_occurs() {
        let records: Vec<Record> = (0..40).map(|index| Profile::Rich.record(index)).collect();
        let empty = Some(Hex::text(""));
        assert!(records.iter().any(|it| it.key.is_none()));
        assert!(records.iter().any(|it| it.value.is_none()));
        assert!(records.iter().any(|it| it.key == empty));
        assert!(records.iter().any(|it| it.value == empty));
        assert!(records.iter().any(|it| it.headers.is_empty()));
        // No client may write a record with neither.
        assert!(!records.iter().any(|it| it.key.is_none() && it.value.is_none()));
    }
}
