//! Everything that a Kafka client connects to
