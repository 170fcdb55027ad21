//! Three consumers share a topic; one is killed, one is added. All partitions move each time, committed
//! offsets hold, and nothing is skipped. After a kill records may come again, as at-least-once allows,
//! but never ones whose commit was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tempfile::TempDir;
use weir_history::{Event as Told, Isolation, Notes, Place, Recorder};
use weir_test_support::wait::{self, Stopwatch};
use weir_test_support::{Admin, Input, Process, Server};

use crate::clients::{Client, member_command};
use crate::load::{Writer, WriterSettings};
use crate::records::from_lines;

const PARTITIONS: i32 = 12;
/// How long a group may take to settle; members notice a death after 6 s.
const SETTLED: Duration = Duration::from_secs(120);
/// How long a member may take to leave.
const LEFT: Duration = Duration::from_secs(60);
/// Records that each partition must have moved on by between the steps.
const PROGRESS: i64 = 5;

/// A group's members: three that begin, and one that is added.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// What the group and its topic are called.
    pub name: &'static str,
    /// The first is the one that is killed, the last the one that is added.
    pub members: [Client; 4],
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    records: i64,
    redelivered: usize,
    moved_after_kill: Duration,
    moved_after_join: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} records, {} came again; all partitions moved {:.1?} after a kill, {:.1?} after a join",
            self.name, self.records, self.redelivered, self.moved_after_kill, self.moved_after_join
        )
    }
}

/// A line that a member prints.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event {
    Assigned { partitions: Vec<i32> },
    Revoked { partitions: Vec<i32> },
    Record { p: i32, o: i64 },
    Committed { offsets: BTreeMap<String, i64> },
}

impl Group {
    /// A group of each client, and one of all of them.
    pub const ALL: [Group; 4] = [
        Group { name: "group-confluent-kafka", members: [Client::ConfluentKafka; 4] },
        Group { name: "group-java", members: [Client::Java; 4] },
        Group { name: "group-kafka-python", members: [Client::KafkaPython; 4] },
        Group {
            name: "group-mixed",
            members: [
                Client::ConfluentKafka,
                Client::Java,
                Client::KafkaPython,
                Client::ConfluentKafka,
            ],
        },
    ];

    /// Runs against `server`.
    ///
    /// # Errors
    /// When a promise is broken, or the group does not settle.
    pub fn run(&self, server: &Server) -> Result<Report> {
        Admin::connect(server.address())?.create_topic(self.name, PARTITIONS)?;
        let stop = AtomicBool::new(false);
        let recorder = Recorder::new();
        let notes = recorder.client(Isolation::ReadUncommitted);
        let report = std::thread::scope(|scope| {
            let write = scope.spawn(|| write(server, self.name, &stop));
            let watch = scope.spawn(|| watch_commits(server, self.name, &stop, &notes));
            let steps = self.steps(server, &stop);
            stop.store(true, Ordering::Relaxed);
            write.join().expect("no thread panics").context("writing")?;
            watch.join().expect("no thread panics").context("reading the group's commits")?;
            steps
        })?;
        let verdict = recorder.history().check();
        ensure!(verdict.is_clean(), "{}:\n{verdict}", self.name);
        Ok(report)
    }

    fn steps(&self, server: &Server, stop: &AtomicBool) -> Result<Report> {
        let [first, second, third, added] = self.members;
        let join = |client| Member::join(client, server, self.name);
        let mut killed = join(first)?;
        let mut members = vec![join(second)?, join(third)?];
        settle("three members share all partitions", &[&killed, &members[0], &members[1]])?;
        progress("the group commits", server, self.name, &vec![0; PARTITIONS as usize])?;

        killed.process.kill9()?;
        let watch = Stopwatch::start();
        settle("two members take over from a killed one", &[&members[0], &members[1]])?;
        let moved_after_kill = watch.elapsed();
        let held = killed.committed()?;
        let now = Admin::connect(server.address())?.committed(self.name, self.name, PARTITIONS)?;
        progress("the group goes on without the killed member", server, self.name, &now)?;
        check_first_records(&members, &held).context("after the kill")?;

        let mut held = BTreeMap::new();
        for member in &members {
            merge(&mut held, member.committed()?);
        }
        let watch = Stopwatch::start();
        members.push(join(added)?);
        let all: Vec<&Member> = members.iter().collect();
        settle("an added member gets its share", &all)?;
        let moved_after_join = watch.elapsed();
        let now = Admin::connect(server.address())?.committed(self.name, self.name, PARTITIONS)?;
        progress("the group goes on with the added member", server, self.name, &now)?;
        check_first_records(&members[2..], &held).context("after the join")?;

        stop.store(true, Ordering::Relaxed);
        let ends = consumed_all(server, self.name)?;
        for member in &mut members {
            member.leave()?;
        }
        members.push(killed);
        let redelivered = check_nothing_skipped(&members, &ends)?;
        let records = ends.iter().sum();
        Ok(Report { name: self.name, records, redelivered, moved_after_kill, moved_after_join })
    }
}

/// A member of the group, as a process that tells what happens.
struct Member {
    client: Client,
    process: Process,
    _scratch: TempDir,
}

impl Member {
    fn join(client: Client, server: &Server, group: &str) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let mut command = member_command(client, &server.bootstrap(), group, group)?;
        let process = Process::start(&mut command, Input::Open, scratch.path(), "member")?;
        Ok(Self { client, process, _scratch: scratch })
    }

    /// What it has told so far. A line that is not yet whole is left out.
    fn events(&self) -> Result<Vec<Event>> {
        let output = self.process.stdout();
        let whole = output.rfind('\n').map_or(0, |end| end + 1);
        from_lines(&output[..whole]).with_context(|| self.process.tail())
    }

    /// The partitions that it has now.
    fn partitions(&self) -> Result<BTreeSet<i32>> {
        let mut mine = BTreeSet::new();
        for event in self.events()? {
            match event {
                Event::Assigned { partitions } => mine.extend(partitions),
                Event::Revoked { partitions } => mine.retain(|it| !partitions.contains(it)),
                _ => {}
            }
        }
        Ok(mine)
    }

    /// The highest offset of each partition whose commit it was told.
    fn committed(&self) -> Result<BTreeMap<i32, i64>> {
        let mut committed = BTreeMap::new();
        for event in self.events()? {
            if let Event::Committed { offsets } = event {
                let parsed: Result<BTreeMap<i32, i64>, _> =
                    offsets.iter().map(|(p, o)| p.parse().map(|p| (p, *o))).collect();
                merge(&mut committed, parsed?);
            }
        }
        Ok(committed)
    }

    /// The offset with which it began each partition at its last assignment.
    fn first_records(&self) -> Result<BTreeMap<i32, i64>> {
        let mut first: BTreeMap<i32, i64> = BTreeMap::new();
        for event in self.events()? {
            match event {
                // What it had before may have gone to others since: each assignment is a whole one.
                Event::Assigned { .. } => first.clear(),
                Event::Record { p, o } => {
                    first.entry(p).or_insert(o);
                }
                _ => {}
            }
        }
        Ok(first)
    }

    fn leave(&mut self) -> Result<()> {
        self.process.end_input();
        let status = self.process.wait(LEFT)?;
        let name = self.client.name();
        ensure!(status.success(), "{name} left with {status}, {}", self.process.tail());
        Ok(())
    }
}

fn merge(into: &mut BTreeMap<i32, i64>, from: BTreeMap<i32, i64>) {
    for (partition, offset) in from {
        let highest = into.entry(partition).or_insert(offset);
        *highest = offset.max(*highest);
    }
}

/// Waits until `members` have all partitions, each of them some, none two of them.
fn settle(what: &str, members: &[&Member]) -> Result<()> {
    let shares = || -> Result<Vec<BTreeSet<i32>>> {
        members.iter().map(|member| member.partitions()).collect()
    };
    let settled = wait::until(what, SETTLED, || {
        let shares = match shares() {
            Ok(shares) => shares,
            Err(error) => return Some(Err(error)),
        };
        let sum: usize = shares.iter().map(BTreeSet::len).sum();
        let all: BTreeSet<i32> = shares.iter().flatten().copied().collect();
        let whole = sum == all.len() && all.len() == PARTITIONS as usize;
        (whole && shares.iter().all(|share| !share.is_empty())).then_some(Ok(()))
    });
    settled.with_context(|| {
        let tails = members.iter().map(|it| format!("{}: {}", it.client.name(), it.process.tail()));
        let tails: Vec<String> = tails.collect();
        format!("shares {:?}\n{}", shares(), tails.join("\n"))
    })?
}

/// Waits until the group has committed more of every partition than `from`.
fn progress(what: &str, server: &Server, group: &str, from: &[i64]) -> Result<()> {
    let mut admin = Admin::connect(server.address())?;
    wait::until(what, SETTLED, || {
        let committed = admin.committed(group, group, PARTITIONS).ok()?;
        committed.iter().zip(from).all(|(now, from)| *now >= from + PROGRESS).then_some(())
    })
}

/// Waits until the group has committed everything that was written; gives the ends.
fn consumed_all(server: &Server, group: &str) -> Result<Vec<i64>> {
    let mut admin = Admin::connect(server.address())?;
    wait::until("the group has consumed everything", SETTLED, || {
        let ends = admin.end_offsets(group, PARTITIONS).ok()?;
        let committed = admin.committed(group, group, PARTITIONS).ok()?;
        (committed == ends).then_some(ends)
    })
}

/// Each partition goes on where its last owner's commit was acknowledged, or after. (All members use the
/// eager protocol, so each rebalance assigns every partition anew.)
fn check_first_records(members: &[Member], held: &BTreeMap<i32, i64>) -> Result<()> {
    for member in members {
        for (partition, first) in member.first_records()? {
            let held = held.get(&partition).copied().unwrap_or(0);
            let name = member.client.name();
            ensure!(
                first >= held,
                "{name} began partition {partition} at {first}, but {held} was committed"
            );
        }
    }
    Ok(())
}

/// Every offset below the ends was seen by some member; gives how many were seen again.
fn check_nothing_skipped(members: &[Member], ends: &[i64]) -> Result<usize> {
    let mut seen: BTreeMap<i32, BTreeSet<i64>> = BTreeMap::new();
    let mut again = 0;
    for member in members {
        for event in member.events()? {
            if let Event::Record { p, o } = event {
                again += usize::from(!seen.entry(p).or_default().insert(o));
            }
        }
    }
    for (partition, end) in (0..).zip(ends) {
        let offsets = seen.entry(partition).or_default();
        let skipped = (0..*end).find(|offset| !offsets.contains(offset));
        ensure!(skipped.is_none(), "offset {skipped:?} of partition {partition} was skipped");
    }
    Ok(again)
}

/// Writes to all partitions, at a pace that members keep up with.
fn write(server: &Server, topic: &str, stop: &AtomicBool) -> Result<()> {
    let settings = WriterSettings::new(0, true);
    let mut writer = Writer::new(&server.bootstrap(), topic, PARTITIONS, settings)?;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..PARTITIONS {
            writer.send()?;
        }
        wait::let_pass(Duration::from_millis(20));
    }
    writer.flush()
}

/// Looks at the group's commits again and again.
fn watch_commits(server: &Server, group: &str, stop: &AtomicBool, notes: &Notes) -> Result<()> {
    let mut admin = Admin::connect(server.address())?;
    while !stop.load(Ordering::Relaxed) {
        let asked = notes.now();
        let committed = admin.committed(group, group, PARTITIONS)?;
        notes.note_all((0..).zip(committed).map(|(partition, offset)| Told::OffsetRead {
            group: weir_history::Group(0),
            place: Place { partition, offset },
            asked,
        }));
        wait::let_pass(Duration::from_millis(20));
    }
    Ok(())
}
