//! The Kafka wire: frames, messages, record batches. Does no I/O and knows no broker

pub mod records;
