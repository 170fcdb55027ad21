//! A write-ahead log damaged by hand: a torn tail is cut and costs nothing that was acknowledged, a
//! changed byte below it stops the start. Weir only.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_history::{End, Event, History, Isolation, Recorder};
use weir_test_support::wait;
use weir_test_support::{Admin, Server};

use crate::chance::Chance;
use crate::load::{Reader, Writer, WriterSettings};
use crate::wal::Frames;

const TOPIC: &str = "damage";
/// Times that records are written and acknowledged, so that the log has as many frames.
const ROUNDS: u64 = 20;
const RECORDS_A_ROUND: u64 = 10;
/// How long a record may take to be visible.
const VISIBLE: Duration = Duration::from_secs(60);

/// Cuts the log's last frame in its middle, where that holds only records that were never promised
/// (`acks=1`), and restarts: all else must be there.
///
/// # Errors
/// When something acknowledged with `acks=all` is lost, or the start fails.
pub fn cut_tail(server: &mut Server) -> Result<()> {
    let mut admin = Admin::connect(server.address())?;
    admin.create_topic(TOPIC, 1)?;
    let durable = fill(server)?;
    let settings = WriterSettings { acks: "1", ..WriterSettings::new(1, false) };
    let mut hasty = Writer::new(&server.bootstrap(), TOPIC, 1, settings)?;
    (0..RECORDS_A_ROUND).try_for_each(|_| hasty.send())?;
    hasty.flush()?;
    let written = i64::try_from((ROUNDS + 1) * RECORDS_A_ROUND)?;
    wait::until("records sent with acks=1 are in the log", VISIBLE, || {
        (admin.end_offsets(TOPIC, 1).ok()? == [written]).then_some(())
    })?;
    server.kill9()?;
    Frames::newest(server.data_dir())?.cut_last()?;
    server.restart().context("a torn tail is not a reason to refuse the start")?;

    let recorder = Recorder::new();
    let (durable, acknowledged) = durable.into_history();
    let client = recorder.client(Isolation::ReadUncommitted);
    client.note_all(acknowledged.into_iter().map(Event::Acked));
    // What the hasty one was told promises nothing.
    let writers = vec![durable, hasty.into_history().0];
    admin.reconnect()?;
    let starts = admin.start_offsets(TOPIC, 1)?;
    let ends = admin.end_offsets(TOPIC, 1)?;
    ensure!(ends < vec![written], "the cut removed nothing: the test cuts too little");
    let read = Reader::new(&server.bootstrap(), TOPIC, 1)?.read_to(&ends)?;
    let end = Some(End::new(&starts, &ends, read));
    let verdict = History { writers, end, ..recorder.history() }.check();
    ensure!(verdict.is_clean(), "after a torn tail:\n{verdict}");
    Ok(())
}

/// Flips a bit of a frame that was synced and restarts: that must fail with exit code 1 and one line
/// that names the file, and change nothing.
///
/// # Errors
/// When the server starts, or does not say why it doesn't.
pub fn flipped_bit(server: &mut Server, seed: u64) -> Result<()> {
    Admin::connect(server.address())?.create_topic(TOPIC, 1)?;
    let writer = fill(server)?;
    drop(writer);
    server.kill9()?;
    Frames::newest(server.data_dir())?.flip(&mut Chance::new(seed))?;
    let before = content(server.data_dir())?;
    let (code, said) = server.restart_refused()?;
    ensure!(code == Some(1), "exit code {code:?} and said {said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.contains(".wal")).collect();
    ensure!(lines.len() == 1, "one line must name the file, but it said:\n{said}");
    ensure!(content(server.data_dir())? == before, "the refused start changed the data");
    Ok(())
}

/// Writes records that are acknowledged with `acks=all`, in as many frames as rounds.
fn fill(server: &Server) -> Result<Writer> {
    let settings = WriterSettings::new(0, true);
    let mut writer = Writer::new(&server.bootstrap(), TOPIC, 1, settings)?;
    for _ in 0..ROUNDS {
        (0..RECORDS_A_ROUND).try_for_each(|_| writer.send())?;
        writer.flush()?;
    }
    Ok(writer)
}

/// The content of every log file.
fn content(data: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut content = BTreeMap::new();
    for session in fs::read_dir(data.join("wal"))? {
        for file in fs::read_dir(session?.path())? {
            let path = file?.path();
            content.insert(path.clone(), fs::read(path)?);
        }
    }
    Ok(content)
}
