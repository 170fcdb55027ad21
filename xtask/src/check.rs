//! Checks the style that a program can check; what it can't is for review.
//!
//! All checks run and report before the command fails, so that one run shows everything. The compiler's
//! own checks (format, lints with functions of at most 70 lines, documentation) come first, then rules
//! over the sources ([`sources`]) and over the arrows between crates ([`arrows`]).

mod arrows;
mod sources;

use anyhow::{Result, bail};

use crate::command::{self, say};

/// Runs every check.
///
/// # Errors
/// When a check found something; all findings were printed.
pub(crate) fn run() -> Result<()> {
    let mut failed: Vec<String> = Vec::new();
    let mut note = |what: &str, result: Result<()>| {
        if let Err(error) = result {
            say(format!("{what}: {error:#}"));
            failed.push(what.to_owned());
        }
    };
    note("sources", sources::check());
    note("arrows between crates", arrows::check());
    note("format", command::run(command::cargo().args(["fmt", "--all", "--check"])));
    note("lints", {
        let mut clippy = command::cargo();
        clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
        command::run(&mut clippy)
    });
    note("documentation", {
        let mut doc = command::cargo();
        // A file's header may point into its crate: it is read in the source too.
        doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links");
        doc.args(["doc", "--workspace", "--no-deps", "--all-features"]);
        command::run(&mut doc)
    });
    if !failed.is_empty() {
        bail!("checks failed: {}", failed.join(", "));
    }
    say("all checks passed");
    Ok(())
}
