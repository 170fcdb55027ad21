//! Weir: a cloud-native message queue that speaks the Kafka protocol.

fn main() {}
