//! Makes up messages from a schema: writes the bytes of a random value.
//!
//! It is a third writer of the wire beside the codec and the witness, and knows nothing of either.
//! What it writes is canonical: a message that is read and written again gives the same bytes.

use proptest::prelude::*;
use weir_protocol::codec::{
    FieldSchema, Kind, MessageSchema, SchemaDefault, StructSchema, Versions,
};

/// Elements of a list at most.
const MAX_ELEMENTS: u8 = 3;

/// The first tag that no schema has.
const FIRST_UNKNOWN_TAG: u8 = 50;

/// Random bytes that decisions are taken from; when they run out, everything is small. So a test
/// that fails shrinks to a small message.
pub(crate) struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> u8 {
        match self.0.split_first() {
            None => 0,
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
        }
    }

    fn fill(&mut self, count: usize, out: &mut Vec<u8>) {
        out.extend((0..count).map(|_| self.next()));
    }
}

/// Choices for one message.
pub(crate) fn choices() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..400)
}

/// The bytes of a made-up message.
pub(crate) fn message(schema: &MessageSchema, version: i16, choices: &[u8]) -> Vec<u8> {
    MadeUp::new(schema, version, choices, false).finish(schema)
}

/// The bytes of the same message with tagged fields that nobody knows.
pub(crate) fn message_of_the_future(
    schema: &MessageSchema,
    version: i16,
    choices: &[u8],
) -> Vec<u8> {
    MadeUp::new(schema, version, choices, true).finish(schema)
}

struct MadeUp<'a> {
    out: Vec<u8>,
    choices: Choices<'a>,
    version: i16,
    flexible: bool,
    unknown_tags: bool,
}

impl<'a> MadeUp<'a> {
    fn new(schema: &MessageSchema, version: i16, choices: &'a [u8], unknown_tags: bool) -> Self {
        let flexible = schema.flexible.contains(version);
        MadeUp { out: Vec::new(), choices: Choices(choices), version, flexible, unknown_tags }
    }

    fn finish(mut self, schema: &MessageSchema) -> Vec<u8> {
        self.structure(schema.body);
        self.out
    }

    fn structure(&mut self, schema: &StructSchema) {
        let mut tagged = Vec::new();
        let version = self.version;
        for field in schema.fields.iter().filter(|field| field.versions.contains(version)) {
            let value = self.aside(|this| this.field(field));
            if !field.is_tagged(self.version) {
                self.out.extend(value);
            } else if value != self.aside(|this| this.default(field)) {
                let (number, _) = field.tag.unwrap();
                tagged.push((number, value));
            }
        }
        if self.flexible {
            tagged.sort();
            if self.unknown_tags {
                let number = u32::from(FIRST_UNKNOWN_TAG) * 3;
                tagged.push((number, vec![0xff; 200]));
                tagged.push((number + 1, vec![]));
            }
            self.varint(tagged.len());
            for (number, value) in tagged {
                self.varint(number as usize);
                self.varint(value.len());
                self.out.extend(value);
            }
        } else {
            assert!(tagged.is_empty(), "tagged in version {}, which has no tags", self.version);
        }
    }

    /// What `write` writes, apart.
    fn aside(&mut self, write: impl FnOnce(&mut Self)) -> Vec<u8> {
        let before = std::mem::take(&mut self.out);
        write(self);
        std::mem::replace(&mut self.out, before)
    }

    fn field(&mut self, field: &FieldSchema) {
        let flexible = self.flexible;
        self.flexible &= !field.never_flexible;
        if field.nullable.contains(self.version) && self.choices.next() % 4 == 1 {
            self.null(&field.kind);
        } else {
            self.value(&field.kind, field.nullable);
        }
        self.flexible = flexible;
    }

    fn default(&mut self, field: &FieldSchema) {
        match (field.default, &field.kind) {
            (SchemaDefault::Null, kind) => self.null(kind),
            (SchemaDefault::Value(value), kind) => {
                let bytes = value.to_be_bytes();
                self.out.extend(&bytes[bytes.len() - width(kind)..]);
            }
            (SchemaDefault::Empty, Kind::Struct(schema)) => {
                // No tag: each of its fields has its default.
                for field in schema.fields {
                    if field.versions.contains(self.version) && !field.is_tagged(self.version) {
                        self.default(field);
                    }
                }
                self.varint(0);
            }
            (SchemaDefault::Empty, Kind::String) => self.length(0, 2),
            (SchemaDefault::Empty, Kind::Bytes | Kind::Records | Kind::Array(_)) => {
                self.length(0, 4);
            }
            (SchemaDefault::Empty, kind) => self.out.extend(vec![0; width(kind)]),
        }
    }

    fn value(&mut self, kind: &Kind, nullable: Versions) {
        match kind {
            Kind::Bool => {
                let flag = self.choices.next() % 2;
                self.out.push(flag);
            }
            Kind::String => {
                let letters = ["a", "Ω", "-", "漢", "z"];
                let count = self.size();
                let text: String =
                    (0..count).map(|_| letters[self.choices.next() as usize % 5]).collect();
                self.length(text.len(), 2);
                self.out.extend(text.as_bytes());
            }
            Kind::Bytes | Kind::Records => {
                let count = self.size();
                self.length(count, 4);
                self.choices.fill(count, &mut self.out);
            }
            Kind::Struct(schema) => {
                if nullable.contains(self.version) {
                    self.out.push(1);
                }
                self.structure(schema);
            }
            Kind::Array(element) => {
                let count = self.choices.next() % (MAX_ELEMENTS + 1);
                self.length(count.into(), 4);
                for _ in 0..count {
                    self.value(element, Versions::NONE);
                }
            }
            number => self.choices.fill(width(number), &mut self.out),
        }
    }

    /// A size that is small, or now and then large enough for a length of two bytes, or for a part
    /// of its own.
    fn size(&mut self) -> usize {
        match self.choices.next() {
            255 => 1000,
            254 => 130,
            small => usize::from(small % 8),
        }
    }

    fn null(&mut self, kind: &Kind) {
        match kind {
            Kind::Struct(_) => self.out.push(0xff),
            _ if self.flexible => self.out.push(0),
            Kind::String => self.out.extend([0xff; 2]),
            _ => self.out.extend([0xff; 4]),
        }
    }

    fn length(&mut self, length: usize, width: usize) {
        if self.flexible {
            self.varint(length + 1);
        } else {
            let bytes = (length as u64).to_be_bytes();
            self.out.extend(&bytes[bytes.len() - width..]);
        }
    }

    fn varint(&mut self, mut value: usize) {
        while value > 0x7f {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}

fn width(kind: &Kind) -> usize {
    match kind {
        Kind::Bool | Kind::Int8 => 1,
        Kind::Int16 | Kind::Uint16 => 2,
        Kind::Int32 | Kind::Uint32 => 4,
        Kind::Int64 | Kind::Float64 => 8,
        Kind::Uuid => 16,
        other => panic!("{other:?} has no fixed width"),
    }
}
