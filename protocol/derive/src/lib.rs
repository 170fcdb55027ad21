//! The derive that turns a struct with attributes into a versioned Kafka message
