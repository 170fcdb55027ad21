//! What the process says about itself, on standard error.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::Log;

/// Starts logging as configured; `RUST_LOG` in the environment has the last word.
///
/// # Errors
/// When the level or the format makes no sense.
pub(crate) fn start(log: &Log) -> Result<()> {
    let level = std::env::var("RUST_LOG").unwrap_or_else(|_| log.level.clone());
    let filter = EnvFilter::try_new(&level)
        .with_context(|| format!("log.level is {level:?}; try info, or weir_broker=debug,info"))?;
    let colours = std::io::stderr().is_terminal();
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    match log.format.as_str() {
        "text" => builder.init(),
        "json" => builder.json().init(),
        other => anyhow::bail!("log.format is {other:?}, but must be text or json"),
    }
    Ok(())
}
