//! The embedded store on real files, and on a disk that fails on purpose (`disk`).

mod disk;

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use disk::Disk;

use super::{device::Device, *};
use crate::store::{Compare, HISTORY_EVENTS_MAX, Remedy, TXN_OPS_MAX, conformance, list};

async fn on(disk: &Arc<Disk>) -> Result<Embedded, OpenError> {
    let device = Arc::clone(disk) as Arc<dyn Device>;
    Embedded::start("disk".into(), move || file::open_device("disk".into(), device, Instant::now()))
        .await
}

async fn formatted() -> (Arc<Disk>, Embedded) {
    let disk = Disk::new();
    file::format(&(Arc::clone(&disk) as Arc<dyn Device>)).unwrap();
    let store = on(&disk).await.unwrap();
    (disk, store)
}

async fn put(store: &Embedded, key: &str, value: &str) -> Result<Revision, StoreError> {
    let outcome = store.txn(Txn::new().put(key, value.to_owned())).await?;
    assert!(outcome.is_committed());
    Ok(outcome.revision())
}

async fn contents(store: &Embedded) -> BTreeMap<String, (String, u64)> {
    let (entries, _) = list(store, "").await.unwrap();
    let text = |entry: &Entry| String::from_utf8(entry.value.to_vec()).unwrap();
    entries.iter().map(|e| (e.key.to_string(), (text(e), e.mod_revision.0))).collect()
}

#[tokio::test]
async fn conforms() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path()).await.unwrap();
    conformance::run(Arc::new(store)).await;
}

#[tokio::test]
async fn history_does_not_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path()).await.unwrap();
    let first = put(&store, "a", "x").await.unwrap();
    store.close().await;
    let store = Embedded::open(dir.path()).await.unwrap();
    conformance::compacted(Arc::new(store), first).await;
}

#[tokio::test]
async fn everything_survives_closing_and_opening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/on the way");
    let store = Embedded::open(&path).await.unwrap();
    for n in 0..50 {
        put(&store, &format!("{:02}", n % 40), &n.to_string()).await.unwrap();
    }
    store.txn(Txn::new().delete("07")).await.unwrap();
    let lease = store.grant(Duration::from_secs(1_000)).await.unwrap();
    let ended = store.grant(Duration::from_secs(1_000)).await.unwrap();
    store.revoke(ended).await.unwrap();
    store.txn(Txn::new().put_leased("leased", "x", lease)).await.unwrap();
    let (before, revision) = list(&store, "").await.unwrap();
    store.close().await;
    assert_eq!(put(&store, "late", "x").await, Err(StoreError::Closed));

    let store = Embedded::open(&path).await.unwrap();
    assert_eq!(list(&store, "").await.unwrap(), (before, revision));
    assert_eq!(store.keep_alive(lease).await, Ok(()));
    assert_ne!(store.grant(Duration::from_secs(1_000)).await, Ok(ended), "no lease id twice");
    store.revoke(lease).await.unwrap();
    assert_eq!(store.get(&"leased".into()).await, Ok(None));
    assert_eq!(put(&store, "a", "x").await, Ok(Revision(revision.0 + 2)));
}

#[tokio::test]
async fn a_file_in_use_is_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path()).await.unwrap();
    put(&store, "a", "x").await.unwrap();
    let error = Embedded::open(dir.path()).await.err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    store.close().await;
    let store = Embedded::open(dir.path()).await.unwrap();
    assert_eq!(contents(&store).await.len(), 1);
}

/// Opens a directory that must be refused, and checks that nothing in it changed.
async fn refused(dir: &Path) -> OpenError {
    let files = || {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        names.map(|path| (path.clone(), fs::read(path).unwrap())).collect::<BTreeMap<_, _>>()
    };
    let before = files();
    let error = Embedded::open(dir).await.err().expect("it must be refused");
    assert_eq!(files(), before, "{error}: nothing may change");
    error
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut page = b"weir metadata, format 2\n".to_vec();
    page.resize(4096, 0);
    page.extend_from_slice(b"nobody knows what");
    fs::write(dir.path().join("metadata.db"), page).unwrap();
    let error = refused(dir.path()).await;
    assert!(matches!(error, OpenError::NewerFormat { found: 2, known: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_torn_or_foreign_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path()).await.unwrap();
    for n in 0..100 {
        put(&store, &n.to_string(), &"x".repeat(1_000)).await.unwrap();
    }
    store.close().await;
    let path = dir.path().join("metadata.db");
    let whole = fs::read(&path).unwrap();
    let mut foreign = whole.clone();
    foreign[..4].copy_from_slice(b"\x7fELF");
    let cuts = [0, 1, 100, 4095, 4096, 4097, 8192, whole.len() / 2, whole.len() - 4096];
    let torn = cuts.into_iter().map(|cut| whole[..cut].to_vec());
    for bytes in torn.chain([foreign, vec![0; whole.len()]]) {
        fs::write(&path, &bytes).unwrap();
        let error = refused(dir.path()).await;
        assert!(matches!(error, OpenError::Corrupt { .. }), "{} bytes: {error}", bytes.len());
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(contents(&Embedded::open(dir.path()).await.unwrap()).await.len(), 100);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a file");
    fs::write(&file, "x").unwrap();
    for place in [file.clone(), file.join("below")] {
        let error = Embedded::open(place).await.err().unwrap();
        assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
    }
    fs::create_dir(dir.path().join("metadata.db")).unwrap();
    let error = Embedded::open(dir.path()).await.err().unwrap();
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
}

#[tokio::test]
async fn a_file_left_half_made_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("metadata.db.new"), "half a head").unwrap();
    let store = Embedded::open(dir.path()).await.unwrap();
    put(&store, "a", "x").await.unwrap();
    store.close().await;
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["metadata.db"]);
}

#[tokio::test]
async fn a_flipped_bit_is_noticed_or_harmless() {
    let (disk, store) = formatted().await;
    for n in 0..60 {
        put(&store, &format!("key {n:03}"), &"value".repeat(50)).await.unwrap();
    }
    let expected = contents(&store).await;
    store.close().await;
    let whole = disk.image();
    let (mut refused, mut harmless) = (0, 0);
    for at in (0..whole.len()).step_by(whole.len() / 600).flat_map(|at| [at, at + 131]) {
        let mut image = whole.clone();
        image[at] ^= 1 << (at % 8);
        let damaged = Disk::with(image.clone());
        match on(&damaged).await {
            Ok(store) => {
                assert_eq!(contents(&store).await, expected, "byte {at} changed what is read");
                harmless += 1;
            }
            Err(OpenError::Corrupt { .. }) => {
                assert_eq!(damaged.image(), image, "byte {at}: a refused file was changed");
                refused += 1;
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(refused > 20, "only {refused} of {} flips were noticed", refused + harmless);
}

#[tokio::test]
async fn opening_writes_little() {
    let (disk, store) = formatted().await;
    for n in 0..2_000 / TXN_OPS_MAX {
        let txn = (0..TXN_OPS_MAX)
            .fold(Txn::new(), |txn, i| txn.put(format!("{n}/{i}"), vec![b'x'; 200]));
        store.txn(txn).await.unwrap();
    }
    store.close().await;
    for crashed in [false, true] {
        let image = disk.image();
        let opened = Disk::with(image);
        let store = on(&opened).await.unwrap();
        let written = opened.written_bytes();
        assert!(written <= 64 << 10, "opening wrote {written} bytes, crashed: {crashed}");
        if !crashed {
            // What a killed process leaves: the file as it is while open.
            put(&store, "more", "x").await.unwrap();
            *disk.bytes() = opened.image();
        }
    }
}

#[tokio::test]
async fn a_full_disk_heals() {
    let (disk, store) = formatted().await;
    let lease = store.grant(Duration::from_secs(1_000)).await.unwrap();
    let mut acked = 0;
    disk.limit(Some(disk.image().len() as u64 + 16 * 4096));
    let error = loop {
        match put(&store, &acked.to_string(), &"x".repeat(20_000)).await {
            Ok(_) => acked += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Retry);
    for _ in 0..3 {
        let error = put(&store, "big", &"x".repeat(200_000)).await.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
    }
    assert_eq!(contents(&store).await.len(), acked, "reads go on, nothing refused is seen");
    assert_eq!(store.keep_alive(lease).await, Ok(()), "needs no room");
    let stale = Txn::new().when(Compare::absent("0")).put("0", "x");
    assert!(!store.txn(stale).await.unwrap().is_committed(), "needs no room");

    disk.limit(None);
    let revision = put(&store, "healed", "x").await.unwrap();
    assert_eq!(revision.0 as usize, acked + 1, "what was refused took no revision");
    let expected = contents(&store).await;
    store.close().await;
    assert_eq!(contents(&on(&disk).await.unwrap()).await, expected);
}

#[tokio::test]
async fn a_failed_sync_stops_the_store() {
    let (disk, store) = formatted().await;
    put(&store, "a", "x").await.unwrap();
    disk.fail_sync(true);
    let error = put(&store, "b", "x").await.unwrap_err();
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Stop);
    disk.fail_sync(false);
    for _ in 0..3 {
        assert!(put(&store, "c", "x").await.is_err(), "what follows a failed sync proves nothing");
    }
    assert!(store.get(&"a".into()).await.is_err());
    let error = store.watch("", Revision(1)).next().await.unwrap_err();
    assert_eq!(error.remedy(), Remedy::Stop);
}

/// Power fails at every point of a run: what was acknowledged is there, what was under way is
/// there whole or not at all, whichever unsynced writes reached the disk.
#[tokio::test]
async fn power_may_fail_at_any_point() {
    for seed in 0..150 {
        let (disk, store) = formatted().await;
        disk.lose_power_after(3 + seed / 3);
        let mut acked = 0;
        while put(&store, &format!("{:03}", acked % 20), &acked.to_string()).await.is_ok() {
            acked += 1;
        }
        store.close().await;
        // And again while the file is opened, which repairs it.
        let disk = Disk::with(disk.after_power_loss(seed));
        disk.lose_power_after(seed % 7);
        if let Ok(store) = on(&disk).await {
            store.close().await;
        }
        let store = on(&Disk::with(disk.after_power_loss(seed))).await.unwrap_or_else(|error| {
            panic!("seed {seed}, {acked} acknowledged: {error}");
        });
        let (entries, revision) = list(&store, "").await.unwrap();
        assert!([acked, acked + 1].contains(&revision.0), "seed {seed}: {acked}, {revision}");
        for entry in entries {
            assert_eq!(entry.value, (entry.mod_revision.0 - 1).to_string(), "seed {seed}");
        }
    }
}

#[tokio::test]
async fn transactions_that_arrive_together_share_commits() {
    let (disk, store) = formatted().await;
    let syncs = disk.syncs();
    let writes = (0..200).map(|n| {
        let store = store.clone();
        async move { put(&store, &n.to_string(), "x").await.unwrap() }
    });
    let mut revisions = futures::future::join_all(writes).await;
    revisions.sort();
    revisions.dedup();
    assert_eq!(revisions.len(), 200, "each has its own revision");
    let syncs = disk.syncs() - syncs;
    assert!(syncs < 40, "{syncs} syncs for 200 transactions");
}

#[tokio::test]
async fn an_empty_start_is_quick() {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let store = Embedded::open(dir.path()).await.unwrap();
    let took = start.elapsed();
    store.close().await;
    println!(
        "empty start: {took:?}, {} bytes",
        fs::metadata(dir.path().join("metadata.db")).unwrap().len()
    );
    assert!(took < Duration::from_millis(500), "{took:?}, goal 50 ms");
}

#[tokio::test]
async fn history_is_bounded_here_too() {
    let (_, store) = formatted().await;
    let first = put(&store, "a", "x").await.unwrap();
    let writes = (0..=HISTORY_EVENTS_MAX / TXN_OPS_MAX).map(|_| {
        let txn = (0..TXN_OPS_MAX).fold(Txn::new(), |txn, i| txn.put(format!("{i}"), "x"));
        store.txn(txn)
    });
    for outcome in futures::future::join_all(writes).await {
        assert!(outcome.unwrap().is_committed());
    }
    conformance::compacted(Arc::new(store), first).await;
}
