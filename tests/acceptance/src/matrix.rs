//! Each client writes with each codec, each client reads it back: what was written is what everybody
//! reads, byte by byte, at the offsets that the writer was told.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail, ensure};
use weir_test_support::{Admin, Server};

use crate::clients::{Client, Codec};
use crate::records::{Acknowledged, Profile, Record, Stored};
use crate::table::Table;

/// Clients that run at a time.
const PARALLEL: usize = 2;

/// What is combined with what.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// Records a topic.
    pub count: u32,
    /// The clients that write.
    pub writers: Vec<Client>,
    /// The codecs that they write with.
    pub codecs: Vec<Codec>,
    /// The clients that read.
    pub readers: Vec<Client>,
    /// How many of them read each topic, taking turns so that each meets every writer.
    pub readers_per_topic: usize,
}

impl Matrix {
    /// Every client, every codec.
    pub fn full(count: u32) -> Self {
        Self {
            count,
            writers: Client::ALL.to_vec(),
            codecs: Codec::ALL.to_vec(),
            readers: Client::ALL.to_vec(),
            readers_per_topic: Client::ALL.len(),
        }
    }

    /// Runs all combinations against `server`.
    ///
    /// # Errors
    /// When a topic can't be created. What clients get wrong is in the outcome.
    pub fn run(&self, server: &Server) -> Result<Outcome> {
        let mut topics = Vec::new();
        for &writer in &self.writers {
            for &profile in writer.profiles() {
                for &codec in &self.codecs {
                    let turn = topics.len();
                    topics.push(Topic { writer, profile, codec, turn });
                }
            }
        }
        let mut admin = Admin::connect(server.address())?;
        for topic in &topics {
            admin.create_topic(&topic.name(), topic.profile.partitions())?;
        }
        let next = AtomicUsize::new(0);
        let rows = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..PARALLEL {
                scope.spawn(|| {
                    while let Some(topic) = topics.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let row = self.run_topic(&server.bootstrap(), *topic);
                        eprintln!("{row}");
                        rows.lock().expect("no thread panics with the lock").push(row);
                    }
                });
            }
        });
        let mut rows = rows.into_inner()?;
        rows.sort_by_key(|row| topics.iter().position(|topic| *topic == row.topic));
        Ok(Outcome { readers: self.readers.clone(), rows })
    }

    fn readers_of(&self, topic: Topic) -> impl Iterator<Item = Client> {
        let able: Vec<Client> =
            self.readers.iter().copied().filter(|it| it.reads(topic.profile)).collect();
        let first = topic.turn * self.readers_per_topic % able.len().max(1);
        let some = self.readers_per_topic.min(able.len());
        able.into_iter().cycle().skip(first).take(some)
    }

    fn run_topic(&self, bootstrap: &str, topic: Topic) -> Row {
        let records: Vec<Record> =
            (0..self.count).map(|index| topic.profile.record(index)).collect();
        let mut row = Row { topic, written: Ok(()), read: Vec::new() };
        let written = topic.writer.produce(bootstrap, &topic.name(), topic.codec, &records);
        let mut expected = at_offsets(&records);
        match written {
            Ok(Some(acknowledged)) => row.written = check_places(&acknowledged, &records),
            Ok(None) => {}
            Err(error) => {
                row.written = Err(error);
                return row;
            }
        }
        let mut timestamps_known = topic.writer.sets_timestamps();
        for reader in self.readers_of(topic) {
            let read = reader.consume(bootstrap, &topic.name(), records.len()).and_then(|read| {
                if !timestamps_known {
                    // The writer's clock set them: the first reader's view is what the others must
                    // see as well.
                    copy_timestamps(&read, &mut expected);
                    timestamps_known = true;
                }
                compare(&expected, &read)
            });
            row.read.push((reader, read));
        }
        row
    }
}

/// A topic of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Topic {
    writer: Client,
    profile: Profile,
    codec: Codec,
    turn: usize,
}

impl Topic {
    fn name(self) -> String {
        format!("{}-{:?}-{}", self.writer.name(), self.profile, self.codec.name())
    }
}

/// What became of one topic.
#[derive(Debug)]
struct Row {
    topic: Topic,
    written: Result<()>,
    read: Vec<(Client, Result<()>)>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let good = self.read.iter().filter(|(_, read)| read.is_ok()).count();
        let written = if self.written.is_ok() { "written" } else { "NOT WRITTEN" };
        write!(f, "{}: {written}, {good} of {} read it", self.topic.name(), self.read.len())
    }
}

/// What became of all combinations; printed as a table, with the reasons of failures below.
#[derive(Debug)]
pub struct Outcome {
    readers: Vec<Client>,
    rows: Vec<Row>,
}

impl Outcome {
    /// # Errors
    /// When anything went wrong; the message has all of it.
    pub fn check(&self) -> Result<()> {
        if self.failures().next().is_some() {
            bail!("clients do not agree:\n{self}");
        }
        ensure!(!self.rows.is_empty(), "no client ran");
        Ok(())
    }

    fn failures(&self) -> impl Iterator<Item = (String, &anyhow::Error)> {
        self.rows.iter().flat_map(|row| {
            let name = row.topic.name();
            let written = row.written.as_ref().err().map(|error| (name.clone(), error));
            let read = row.read.iter().filter_map(move |(reader, read)| {
                let what = format!("{name} read by {}", reader.name());
                read.as_ref().err().map(|error| (what, error))
            });
            written.into_iter().chain(read)
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = ["writer", "records", "codec", "written"].into_iter();
        let mut table = Table::new(titles.chain(self.readers.iter().map(|reader| reader.name())));
        for row in &self.rows {
            let word = |result: &Result<()>| if result.is_ok() { "ok" } else { "FAILED" };
            let mut cells = vec![
                row.topic.writer.name().to_owned(),
                format!("{:?}", row.topic.profile),
                row.topic.codec.name().to_owned(),
                word(&row.written).to_owned(),
            ];
            cells.extend(self.readers.iter().map(|reader| {
                let read = row.read.iter().find(|(who, _)| who == reader);
                read.map_or("-", |(_, result)| word(result)).to_owned()
            }));
            table.row(cells);
        }
        write!(f, "{table}")?;
        for (what, error) in self.failures() {
            writeln!(f, "\n{what}: {error:#}")?;
        }
        Ok(())
    }
}

/// The records with the offsets that they must get in an empty topic.
fn at_offsets(records: &[Record]) -> Vec<Stored> {
    let mut next = std::collections::BTreeMap::new();
    let mut stored: Vec<Stored> = records
        .iter()
        .map(|record| {
            let offset: &mut i64 = next.entry(record.partition).or_default();
            *offset += 1;
            Stored { offset: *offset - 1, record: record.clone() }
        })
        .collect();
    stored.sort_by_key(|it| (it.record.partition, it.offset));
    stored
}

fn copy_timestamps(from: &[Stored], to: &mut [Stored]) {
    for (from, to) in from.iter().zip(to) {
        to.record.timestamp = from.record.timestamp;
    }
}

/// Checks the places that a writer was told.
fn check_places(told: &[Acknowledged], records: &[Record]) -> Result<()> {
    ensure!(told.len() == records.len(), "{} of {} acknowledged", told.len(), records.len());
    let mut next = std::collections::BTreeMap::new();
    for (told, record) in told.iter().zip(records) {
        let offset: &mut i64 = next.entry(record.partition).or_default();
        let due = Acknowledged { partition: record.partition, offset: *offset };
        ensure!(*told == due, "a record was acknowledged at {told:?} but belongs at {due:?}");
        *offset += 1;
    }
    Ok(())
}

fn compare(expected: &[Stored], read: &[Stored]) -> Result<()> {
    ensure!(expected.len() == read.len(), "{} of {} records", read.len(), expected.len());
    for (expected, read) in expected.iter().zip(read) {
        ensure!(expected == read, "expected {expected:?}\n     read {read:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        (0..12).map(|index| Profile::Rich.record(index)).collect()
    }

    #[test]
    fn readers_take_turns() {
        let matrix = Matrix { readers_per_topic: 2, ..Matrix::full(1) };
        let of = |turn| {
            let (writer, profile, codec) = (Client::Java, Profile::Rich, Codec::None);
            matrix.readers_of(Topic { writer, profile, codec, turn }).collect::<Vec<_>>()
        };
        assert_eq!(of(0), [Client::Kcat, Client::ConfluentKafka]);
        assert_eq!(of(3), [Client::JavaConsole, Client::Kcat]);
    }

    #[test]
    fn each_partition_begins_at_offset_0() {
        let expected = at_offsets(&records());
        let places: Vec<_> = expected.iter().map(|it| (it.record.partition, it.offset)).collect();
        assert_eq!(places[..5], [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)]);
    }

    #[test]
    fn any_difference_is_found() {
        let expected = at_offsets(&records());
        assert!(compare(&expected, &expected).is_ok());
        assert!(compare(&expected, &expected[1..]).is_err());
        let changes: [fn(&mut Stored); 5] = [
            |it| it.offset += 1,
            |it| it.record.timestamp += 1,
            |it| it.record.key = Some(crate::records::Hex::text("other")),
            |it| it.record.value = None,
            |it| it.record.headers.push(("new".to_owned(), None)),
        ];
        for change in changes {
            let mut read = expected.clone();
            change(&mut read[7]);
            assert!(compare(&expected, &read).is_err());
        }
    }

    #[test]
    fn a_wrong_place_is_found() {
        let records = records();
        let mut told: Vec<_> = records
            .iter()
            .enumerate()
            .map(|(index, record)| Acknowledged {
                partition: record.partition,
                offset: i64::try_from(index / 3).unwrap(),
            })
            .collect();
        assert!(check_places(&told, &records).is_ok());
        told[5].offset += 1;
        assert!(check_places(&told, &records).is_err());
    }
}
