//! Consumer groups and their offsets.

pub mod client;
mod settings;

pub use client::{Caller, CoordinatorClient};
pub use settings::Settings;
