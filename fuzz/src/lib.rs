//! What fuzz targets share.

pub mod sums;
