//! The derives that turn a struct with attributes into a versioned Kafka message.
//!
//! A message definition reads like the schema it implements: the struct names its API key, versions
//! and flexible versions, each field says where it differs from "always there, never null, zero by
//! default". From that the derives write `Default`, the codec and a static schema; a test compares
//! the schemas with Apache Kafka's own JSON files, so a definition can't drift from its source.
//!
//! ```text
//! #[derive(Message, Clone, Debug, PartialEq)]
//! #[kafka(request, key = 12, versions = "0-4", flexible = "4+")]
//! pub struct HeartbeatRequest {
//!     pub group_id: ByteString,
//!     pub generation_id: i32,
//!     pub member_id: ByteString,
//!     #[kafka(versions = "3+", nullable = "3+", default = null)]
//!     pub group_instance_id: Option<ByteString>,
//! }
//! ```
//!
//! On a struct: `request`, `response`, `header`, `data`, `record_key` or `record_value`, then
//! `key = N` where the schema has an API key, `versions` and `flexible`. A nested struct derives
//! `Struct` and needs no attribute; `versions` there is what its fields have unless they say more.
//!
//! On a field:
//!
//! | attribute | meaning | without it |
//! |---|---|---|
//! | `versions = "3+"` | where the field exists | as its struct |
//! | `nullable = "3+"` | where null is legal; the type is an `Option` | never |
//! | `default = -1` | value where the field is absent; `null` for `None` | zero or empty |
//! | `ignorable` | a value is dropped silently in versions without the field | an error |
//! | `tag = 0` | written as a tagged field where it exists | inline |
//! | `tagged = "9+"` | tagged only there, inline in its other versions | `versions` |
//! | `flexible = "none"` | keeps the old string and array form in flexible versions | as its message |
//! | `name = "X"` | the schema's name, where it is not the camel case of ours | |
//!
//! The generated code is straight-line and not generic, because every other crate waits for it.

mod attributes;
mod expand;
mod field;
#[cfg(test)]
mod tests;
mod versions;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Derives the codec and schema of a whole message: see the crate's documentation.
#[proc_macro_derive(Message, attributes(kafka))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::message(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Derives the codec and schema of a struct nested in messages: see the crate's documentation.
#[proc_macro_derive(Struct, attributes(kafka))]
pub fn derive_struct(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::nested(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
