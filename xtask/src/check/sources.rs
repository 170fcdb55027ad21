//! Rules over the text of the repository's files, each with the reason that a finding prints.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{self, root, say};

/// Lines that no source file may exceed.
const MOST_LINES: usize = 1_000;
/// Lines that half of the files should stay within.
const MEDIAN_LINES: usize = 250;
/// The one file of tests that may sleep: everything else waits through it.
const MAY_SLEEP: &str = "tests/support/src/wait.rs";
/// Names that say nothing about what a thing is.
const EMPTY_NAMES: [&str; 5] = ["Manager", "Helper", "Helpers", "Util", "Utils"];
/// Modules of which the same is true.
const EMPTY_MODULES: [&str; 7] =
    ["common", "util", "utils", "helper", "helpers", "manager", "misc"];

/// Hosts of package registries, in two parts so that this file does not name one.
const REGISTRY_HOSTS: [(&str, &str); 6] = [
    ("registry.npm", "js.org"),
    ("py", "pi.org"),
    ("python", "hosted.org"),
    ("static.crates", ".io"),
    ("repo.maven.", "apache.org"),
    ("proxy.golang", ".org"),
];

/// Checks every file that git tracks or would track.
pub(super) fn check() -> Result<()> {
    let mut findings = Vec::new();
    let mut lengths = Vec::new();
    for path in files()? {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue }; // Not a text.
        findings.extend(find_in_any(&path, &text));
        if path.extension().is_some_and(|extension| extension == "rs") {
            findings.extend(find_in_rust(&path, &text));
            lengths.push(text.lines().count());
        }
    }
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    let longest = lengths.last().copied().unwrap_or(0);
    say(format!("{} rust files, median {median} lines, longest {longest}", lengths.len()));
    if median > MEDIAN_LINES {
        findings.push(format!("the median file has {median} lines, more than {MEDIAN_LINES}"));
    }
    if !findings.is_empty() {
        bail!("\n  {}", findings.join("\n  "));
    }
    Ok(())
}

fn files() -> Result<Vec<PathBuf>> {
    let mut list = Command::new("git");
    list.current_dir(root()).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let list = command::output(&mut list).context("can't list the repository's files")?;
    Ok(list.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect())
}

fn find_in_any(path: &Path, text: &str) -> Vec<String> {
    REGISTRY_HOSTS
        .iter()
        .map(|(first, second)| format!("{first}{second}"))
        .filter(|host| text.contains(host))
        .map(|host| format!("{}: names a registry's host ({host})", path.display()))
        .collect()
}

fn find_in_rust(path: &Path, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let shown = path.display();
    let count = text.lines().count();
    if count > MOST_LINES {
        findings.push(format!("{shown}: {count} lines; split by purpose above {MOST_LINES}"));
    }
    // Unit tests are introduced by their subject, and run on paused time, where a timer only moves
    // the clock; those at the top run against real processes.
    let unit = path.iter().any(|part| part == "src");
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let in_tests = path.iter().any(|part| part == "tests") || stem.ends_with("tests");
    let beside = unit && in_tests;
    if !beside && !text.starts_with("//!") {
        findings.push(format!("{shown}: does not open with //! and what it owns"));
    }
    if EMPTY_MODULES.contains(&stem.as_str()) {
        findings.push(format!("{shown}: the file's name says nothing about what it holds"));
    }
    let sleepless = path != Path::new(MAY_SLEEP);
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        if code.starts_with("//") {
            continue;
        }
        let mut find = |what: &str| findings.push(format!("{shown}:{}: {what}", number + 1));
        if code.starts_with(concat!("#[", "ignore")) {
            find("ignored test: make it pass or remove it");
        }
        let sleeps = code.contains(concat!("thread::", "sleep("));
        if sleepless && (sleeps || in_tests && !unit && code.contains(concat!("sleep", "("))) {
            find("sleeps: wait for a condition with a deadline instead");
        }
        if let Some(name) = empty_name(code) {
            find(&format!("{name} says nothing: name what it is"));
        }
    }
    findings
}

/// The name that `code` declares, if it is one of those that say nothing.
fn empty_name(code: &str) -> Option<&str> {
    let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.find(|word| matches!(*word, "struct" | "enum" | "trait" | "mod" | "type"))?;
    let name = words.next()?;
    let empty = EMPTY_NAMES.iter().any(|empty| name.ends_with(empty))
        || EMPTY_MODULES.contains(&name) && !name.is_empty();
    empty.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(path: &str, text: &str) -> Vec<String> {
        find_in_rust(Path::new(path), text)
    }

    #[test]
    fn a_clean_file_has_no_finding() {
        assert!(rust("broker/src/shard.rs", "//! Owns.\n\nstruct Shard;\n").is_empty());
    }

    #[test]
    fn a_missing_header_and_a_long_file_are_found() {
        assert_eq!(rust("a/src/b.rs", "struct Shard;\n").len(), 1);
        let long = format!("//! Owns.\n{}", "\n".repeat(MOST_LINES));
        assert_eq!(rust("a/src/b.rs", &long).len(), 1);
    }

    #[test]
    fn sleeping_is_found_in_tests_but_not_where_waiting_lives() {
        let text = concat!("//! Tests.\nfn f() { std::thread::", "sleep(x); }\n");
        assert_eq!(rust("a/src/b.rs", text).len(), 1);
        assert!(rust(MAY_SLEEP, text).is_empty());
        let timer = concat!("//! Tests.\nfn f() { tokio::time::", "sleep(x).await; }\n");
        assert_eq!(rust("tests/a.rs", timer).len(), 1);
        assert!(rust("a/src/b.rs", timer).is_empty());
    }

    #[test]
    fn ignored_tests_and_empty_names_are_found() {
        assert_eq!(rust("a/src/b.rs", concat!("//! T.\n#[", "ignore]\n")).len(), 1);
        assert_eq!(
            empty_name(concat!("pub(crate) ", "struct ", "LogManager {")),
            Some("LogManager")
        );
        assert_eq!(empty_name(concat!("mod ", "common;")), Some("common"));
        assert_eq!(empty_name("pub struct Common {"), None);
        assert_eq!(empty_name("let commonly = 1;"), None);
    }

    #[test]
    fn registry_hosts_are_found() {
        let (first, second) = REGISTRY_HOSTS[0];
        assert_eq!(find_in_any(Path::new("x"), &format!("https://{first}{second}/a")).len(), 1);
    }
}
