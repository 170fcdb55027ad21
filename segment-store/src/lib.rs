//! Every byte in the store: journals, objects, checkpoints, readers
