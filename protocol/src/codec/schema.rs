//! What the derives know of a message, as data: for the check against Kafka's JSON schemas, for
//! errors that name their field, and for tests that make up values.

/// A range of versions, both ends included; empty when `min > max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The lowest.
    pub min: i16,
    /// The highest; `i16::MAX` stands for "and above".
    pub max: i16,
}

impl Versions {
    /// No version.
    pub const NONE: Versions = Versions { min: 0, max: -1 };

    /// The versions from `min` to `max`.
    pub const fn new(min: i16, max: i16) -> Versions {
        Versions { min, max }
    }

    /// Whether `version` lies in the range.
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Whether no version lies in the range.
    pub const fn is_empty(self) -> bool {
        self.min > self.max
    }

    /// Every version, lowest first.
    pub fn iter(self) -> std::ops::RangeInclusive<i16> {
        self.min..=self.max
    }
}

impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            versions if versions.is_empty() => f.write_str("none"),
            Versions { min, max: i16::MAX } => write!(f, "{min}+"),
            Versions { min, max } if min == max => write!(f, "{min}"),
            Versions { min, max } => write!(f, "{min}-{max}"),
        }
    }
}

/// What a message is; the `type` of the JSON schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What a client sends.
    Request,
    /// What it gets.
    Response,
    /// What stands in front of either.
    Header,
    /// What clients exchange through a group.
    Data,
    /// The key of a record in a coordinator's topic.
    RecordKey,
    /// The value of a record in a coordinator's topic.
    RecordValue,
}

/// A whole message.
#[derive(Debug)]
pub struct MessageSchema {
    /// The name, as in `ProduceRequest`.
    pub name: &'static str,
    /// What it is.
    pub role: Role,
    /// The API key; for a record key or value its type.
    pub key: Option<i16>,
    /// Versions that can be decoded.
    pub versions: Versions,
    /// Versions in the compact form with tagged fields (KIP-482).
    pub flexible: Versions,
    /// The fields.
    pub body: &'static StructSchema,
}

/// A struct: the body of a message or nested in one.
#[derive(Debug)]
pub struct StructSchema {
    /// The name, as in `TopicProduceData`.
    pub name: &'static str,
    /// The fields in the order of the wire.
    pub fields: &'static [FieldSchema],
}

/// A field of a struct.
#[derive(Debug)]
pub struct FieldSchema {
    /// The struct that has it.
    pub owner: &'static str,
    /// The name, as in `TransactionalId`.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// Versions that have it.
    pub versions: Versions,
    /// Versions in which it can be null.
    pub nullable: Versions,
    /// Its tag and the versions in which it is tagged.
    pub tag: Option<(u32, Versions)>,
    /// Its value in versions that do not have it.
    pub default: SchemaDefault,
    /// Whether a value is dropped silently when the version does not have the field.
    pub ignorable: bool,
    /// Whether it keeps the old form in flexible versions.
    pub never_flexible: bool,
}

impl FieldSchema {
    /// Whether it stands among the tagged fields in `version`.
    pub fn is_tagged(&self, version: i16) -> bool {
        self.tag.is_some_and(|(_, tagged)| tagged.contains(version))
    }
}

/// A field's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaDefault {
    /// Zero, false, or empty.
    Empty,
    /// Null.
    Null,
    /// A number; a flag as 0 or 1.
    Value(i64),
}

/// A type of Kafka's schemas.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `bool`
    Bool,
    /// `int8`
    Int8,
    /// `int16`
    Int16,
    /// `uint16`
    Uint16,
    /// `int32`
    Int32,
    /// `uint32`
    Uint32,
    /// `int64`
    Int64,
    /// `float64`
    Float64,
    /// `uuid`
    Uuid,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// `records`: batches in their own format
    Records,
    /// A struct.
    Struct(&'static StructSchema),
    /// A list.
    Array(&'static Kind),
}
