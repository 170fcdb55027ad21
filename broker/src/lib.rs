//! Partitions: append, recovery, the tail, checkpoints
