//! The arrows between crates point down only.
//!
//! The table below is the architecture in one place: what each crate may use of the others, and
//! which outside crates it must not even link, because it does no I/O or knows no store. A crate that
//! is not in the table fails the check, so that a new one is placed on purpose. Dependencies of tests
//! are free.

use anyhow::{Result, bail};
use serde_json::Value;

use crate::command;

/// A crate, the workspace crates that it may use, and outside crates that it must not use.
struct Place {
    name: &'static str,
    may: &'static [&'static str],
    never: &'static [&'static str],
}

/// Outside crates that do I/O.
const IO: &[&str] = &["tokio", "object_store", "redb", "axum", "rustix"];

/// From the bottom up.
const PLACES: &[Place] = &[
    Place { name: "weir-ids", may: &[], never: IO },
    Place { name: "weir-runtime", may: &["weir-ids"], never: &["object_store", "redb", "axum"] },
    Place { name: "weir-protocol-derive", may: &[], never: IO },
    Place { name: "weir-protocol", may: &["weir-ids", "weir-protocol-derive"], never: IO },
    Place {
        name: "weir-rpc",
        may: &["weir-ids", "weir-runtime"],
        never: &["object_store", "redb", "axum"],
    },
    Place {
        name: "weir-meta",
        may: &["weir-ids", "weir-runtime", "weir-protocol", "weir-rpc"],
        never: &["object_store", "axum"],
    },
    Place {
        name: "weir-segment-store",
        may: &["weir-ids", "weir-runtime", "weir-protocol"],
        never: &["redb", "axum"],
    },
    Place {
        name: "weir-broker",
        may: &[
            "weir-ids",
            "weir-runtime",
            "weir-protocol",
            "weir-rpc",
            "weir-meta",
            "weir-segment-store",
        ],
        never: &["object_store", "redb", "axum"],
    },
    Place {
        // Reads what the broker client says lies in the store, as a proxy does; writes through the
        // broker client alone.
        name: "weir-coordinator",
        may: &[
            "weir-ids",
            "weir-runtime",
            "weir-protocol",
            "weir-rpc",
            "weir-meta",
            "weir-segment-store",
            "weir-broker",
        ],
        never: &["object_store", "redb", "axum"],
    },
    Place {
        name: "weir-proxy",
        may: &[
            "weir-ids",
            "weir-runtime",
            "weir-protocol",
            "weir-rpc",
            "weir-meta",
            "weir-segment-store",
            "weir-broker",
            "weir-coordinator",
        ],
        never: &["object_store", "redb"],
    },
    Place {
        name: "weir",
        may: &[
            "weir-ids",
            "weir-runtime",
            "weir-protocol",
            "weir-rpc",
            "weir-meta",
            "weir-segment-store",
            "weir-broker",
            "weir-coordinator",
            "weir-proxy",
        ],
        never: &[],
    },
    Place { name: "weir-test-cache", may: &[], never: IO },
    Place {
        name: "weir-test-support",
        may: &["weir-test-cache", "weir-ids", "weir-runtime", "weir-protocol"],
        never: &[],
    },
    Place { name: "weir-test-store", may: &["weir-ids", "weir-runtime"], never: &[] },
    Place { name: "weir-history", may: &[], never: IO },
    Place {
        name: "weir-acceptance",
        may: &[
            "weir-test-cache",
            "weir-test-support",
            "weir-test-store",
            "weir-history",
            "weir-ids",
            "weir-runtime",
            "weir-protocol",
        ],
        never: &[],
    },
    Place {
        // Explores in memory what production decides: of those crates it calls plain functions only.
        name: "weir-model",
        may: &["weir-ids", "weir-meta", "weir-segment-store"],
        never: IO,
    },
    Place {
        // Plays the parts of the binary, the network and the stores around every role.
        name: "weir-simulation",
        may: &[
            "weir-ids",
            "weir-runtime",
            "weir-protocol",
            "weir-meta",
            "weir-segment-store",
            "weir-broker",
            "weir-coordinator",
            "weir-proxy",
            "weir-history",
        ],
        never: &["redb", "axum"],
    },
    Place { name: "xtask", may: &["weir-test-cache"], never: IO },
];

/// Checks the workspace against the table.
pub(super) fn check() -> Result<()> {
    let mut metadata = command::cargo();
    metadata.args(["metadata", "--no-deps", "--format-version", "1", "--quiet"]);
    let metadata: Value = serde_json::from_str(&command::output(&mut metadata)?)?;
    let findings = findings(&metadata);
    if !findings.is_empty() {
        bail!("\n  {}", findings.join("\n  "));
    }
    Ok(())
}

fn findings(metadata: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    for package in list(&metadata["packages"]) {
        let name = text(&package["name"]);
        let Some(place) = PLACES.iter().find(|place| place.name == name) else {
            findings.push(format!("{name} has no place: add it to xtask/src/check/arrows.rs"));
            continue;
        };
        for dependency in list(&package["dependencies"]) {
            let used = text(&dependency["name"]);
            let only_tests = dependency["kind"] == "dev";
            let ours = PLACES.iter().any(|place| place.name == used);
            if !only_tests && (place.never.contains(&used) || ours && !place.may.contains(&used)) {
                findings.push(format!("{name} must not use {used}"));
            }
        }
    }
    findings
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn uses(name: &str, used: &str, kind: Option<&str>) -> Vec<String> {
        findings(&json!({ "packages": [
            { "name": name, "dependencies": [{ "name": used, "kind": kind }] }
        ]}))
    }

    #[test]
    fn an_arrow_up_is_found() {
        assert_eq!(uses("weir-meta", "weir-broker", None), ["weir-meta must not use weir-broker"]);
        assert_eq!(uses("weir-protocol", "tokio", None), ["weir-protocol must not use tokio"]);
        assert!(uses("weir-broker", "weir-meta", None).is_empty());
    }

    #[test]
    fn tests_may_use_anything() {
        assert!(uses("weir-protocol", "tokio", Some("dev")).is_empty());
    }

    #[test]
    fn a_new_crate_must_be_placed() {
        assert_eq!(uses("weir-new", "serde", None).len(), 1);
    }

    #[test]
    fn the_table_itself_points_down() {
        let rank = |name: &str| PLACES.iter().position(|place| place.name == name);
        for place in PLACES {
            for below in place.may {
                assert!(rank(below) < rank(place.name), "{} above {below}", place.name);
            }
        }
    }
}
