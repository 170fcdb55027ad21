//! What end-to-end tests share: servers, clients, waiting for conditions

pub use weir_test_cache as cache;
