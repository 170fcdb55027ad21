//! The messages against their sources: Kafka's JSON schemas, another implementation, made-up values,
//! and bytes written by hand.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod codec;
mod frames;
mod made_up;
mod properties;
mod schema;
mod subjects;
mod witness;
