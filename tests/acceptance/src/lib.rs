//! What a server must show: client matrix, durability, scale, figures beside Apache Kafka.
