//! Weir: a cloud-native message queue that speaks the Kafka protocol.
//!
//! This crate is the command line: it reads the configuration and assembles roles into a process.
//! What a role does is in its own crate.

mod backup;
mod cli;
mod config;
mod data_dir;
mod fsck;
mod inspect;
mod logging;
mod node;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: what, which, what to do.
            eprintln!("weir: {error:#}");
            ExitCode::FAILURE
        }
    }
}
