//! The one way in which a folder gets into the cache.
//!
//! Invariants: a folder under its final name is complete, for it is built under another name and then
//! renamed; it was made from the lock text that its stamp repeats, so a changed lock rebuilds it; and
//! only one process builds at a time, for all of them take the same file lock. The operating system
//! drops that lock when its holder dies, so nothing has to be cleaned by hand.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use weir_test_cache::{Artifact, cache_dir};

use crate::command::{Stopwatch, say};

/// Holds a copy of the lock text that the folder was made from.
const STAMP: &str = ".made-from";

/// Makes sure that `artifact` is in the cache as `lock` describes it, calling `build` with an empty
/// folder to fill if it is not.
pub(super) fn ensure(
    artifact: Artifact,
    lock: &str,
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let cache = cache_dir();
    ensure_in(&cache, artifact.name(), lock, build)
        .with_context(|| format!("can't set up {} in {}", artifact.name(), cache.display()))
}

fn ensure_in(
    cache: &Path,
    name: &str,
    lock: &str,
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let place = cache.join(name);
    if is_made_from(&place, lock) {
        return Ok(());
    }
    fs::create_dir_all(cache).context("can't create the cache; set WEIR_CACHE to a folder")?;
    let guard = File::create(cache.join(".lock"))?;
    guard.lock()?;
    if is_made_from(&place, lock) {
        return Ok(()); // Another process was quicker.
    }
    say(format!("setting up {name}"));
    let watch = Stopwatch::start();
    let unfinished = cache.join(format!(".unfinished-{name}"));
    remove(&unfinished)?; // Left by a process that was interrupted; we hold the lock.
    fs::create_dir(&unfinished)?;
    build(&unfinished)?;
    fs::write(unfinished.join(STAMP), lock)?;
    remove(&place)?;
    fs::rename(&unfinished, &place)?;
    say(format!("{name} is ready after {:.1?}", watch.elapsed()));
    Ok(())
}

fn is_made_from(place: &Path, lock: &str) -> bool {
    fs::read(place.join(STAMP)).is_ok_and(|made_from| made_from == lock.as_bytes())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn fill(folder: &Path) -> Result<()> {
        Ok(fs::write(folder.join("file"), "content")?)
    }

    #[test]
    fn is_built_once_and_again_when_the_lock_changes() {
        let cache = tempfile::tempdir().unwrap();
        let built = Cell::new(0);
        for lock in ["one", "one", "two", "two"] {
            ensure_in(cache.path(), "thing", lock, |folder| {
                built.set(built.get() + 1);
                fill(folder)
            })
            .unwrap();
        }
        assert_eq!(built.get(), 2);
        assert!(cache.path().join("thing/file").is_file());
    }

    #[test]
    fn a_failed_build_leaves_what_was_there() {
        let cache = tempfile::tempdir().unwrap();
        ensure_in(cache.path(), "thing", "one", fill).unwrap();
        let failed = ensure_in(cache.path(), "thing", "two", |folder| {
            fill(folder)?;
            anyhow::bail!("no network")
        });
        assert_eq!(failed.unwrap_err().to_string(), "no network");
        assert!(is_made_from(&cache.path().join("thing"), "one"));
    }

    #[test]
    fn half_a_download_is_thrown_away() {
        let cache = tempfile::tempdir().unwrap();
        let unfinished = cache.path().join(".unfinished-thing");
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join("half"), "").unwrap();
        ensure_in(cache.path(), "thing", "one", fill).unwrap();
        assert!(!cache.path().join("thing/half").exists());
        assert!(!unfinished.exists());
    }
}
