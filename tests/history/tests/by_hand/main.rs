//! The judge judged by hand: each anomaly in a bad history, and beside it the nearest good one, which is
//! what Kafka allows.

mod edges;
mod offsets;
mod reads;
mod story;
mod transactions;
mod words;
mod writes;
