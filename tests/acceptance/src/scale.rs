//! Many partitions on one server, and many consumers that wait for nothing: what they cost.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use weir_test_support::wait::{self, Deadline, Stopwatch};
use weir_test_support::wire::Connection;
use weir_test_support::{Admin, Server, Usage};

use crate::load::{Writer, WriterSettings};
use crate::table::{Table, mib};

/// Partitions of one topic.
const PARTITIONS_A_TOPIC: i32 = 1_000;
/// Files that a server may hold more of with many partitions than with none: segments of a log that
/// all partitions share, connections.
const MORE_FILES: usize = 64;
/// The version of Fetch that idle consumers speak: topics by name.
const FETCH: i16 = 11;
/// What consumers wait by default.
const MAX_WAIT_MS: i32 = 500;

/// A state of the server, as it was measured.
#[derive(Debug)]
struct Moment {
    what: &'static str,
    took: Duration,
    usage: Usage,
    idle_cpu_percent: f64,
}

/// What many partitions cost.
#[derive(Debug)]
pub struct Partitions {
    count: i32,
    moments: Vec<Moment>,
}

impl fmt::Display for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} partitions", self.count)?;
        let mut table = Table::new(["", "took", "memory", "peak", "idle cpu", "files", "threads"]);
        for Moment { what, took, usage, idle_cpu_percent } in &self.moments {
            table.row([
                (*what).to_owned(),
                format!("{took:.2?}"),
                mib(usage.rss_bytes),
                mib(usage.peak_rss_bytes),
                format!("{idle_cpu_percent:.1} %"),
                usage.open_files.to_string(),
                usage.threads.to_string(),
            ]);
        }
        write!(f, "{table}")
    }
}

/// Creates `count` partitions, writes `records` to each, stops and kills and restarts the server; looks at
/// it each time, idle for `idle`.
///
/// # Errors
/// When something fails, a record is missing after a restart, or open files grow with partitions.
pub fn partitions(
    server: &mut Server,
    count: i32,
    records: i64,
    idle: Duration,
) -> Result<Partitions> {
    let mut moments = vec![moment("empty", server.ready_after(), server, idle)?];
    let topics: Vec<(String, i32)> = (0..count)
        .step_by(usize::try_from(PARTITIONS_A_TOPIC)?)
        .map(|first| (format!("scale-{first}"), PARTITIONS_A_TOPIC.min(count - first)))
        .collect();

    let watch = Stopwatch::start();
    let mut admin = Admin::connect(server.address())?;
    for (topic, partitions) in &topics {
        admin.create_topic(topic, *partitions)?;
    }
    moments.push(moment("created", watch.elapsed(), server, idle)?);

    let watch = Stopwatch::start();
    for (topic, partitions) in &topics {
        let settings = WriterSettings::new(0, true);
        let mut writer = Writer::new(&server.bootstrap(), topic, *partitions, settings)?;
        (0..i64::from(*partitions) * records).try_for_each(|_| writer.send())?;
        writer.flush()?;
    }
    moments.push(moment("all written", watch.elapsed(), server, idle)?);

    server.stop()?;
    let took = restart(server, &topics, records).context("after a stop")?;
    moments.push(moment("restarted after a stop", took, server, idle)?);
    server.kill9()?;
    let took = restart(server, &topics, records).context("after a kill")?;
    moments.push(moment("restarted after kill -9", took, server, idle)?);

    let files = |moment: &Moment| moment.usage.open_files;
    let most = moments.iter().map(files).max().unwrap_or(0);
    let report = Partitions { count, moments };
    // Apache Kafka holds files open for each partition.
    let bounded = server.name() == "kafka" || most <= files(&report.moments[0]) + MORE_FILES;
    ensure!(bounded, "open files grow with partitions\n{report}");
    Ok(report)
}

/// Restarts; gives the time until every partition answers, with all its records.
fn restart(server: &mut Server, topics: &[(String, i32)], records: i64) -> Result<Duration> {
    let watch = Stopwatch::start();
    server.restart()?;
    let mut admin = Admin::connect(server.address())?;
    for (topic, partitions) in topics {
        let ends = admin.end_offsets(topic, *partitions)?;
        let short = ends.iter().position(|end| *end != records);
        ensure!(short.is_none(), "partition {short:?} of {topic} has not all its records");
    }
    Ok(watch.elapsed())
}

fn moment(what: &'static str, took: Duration, server: &Server, idle: Duration) -> Result<Moment> {
    let idle_cpu_percent = cpu_percent(server, || {
        wait::let_pass(idle);
        Ok(())
    })?;
    Ok(Moment { what, took, usage: server.usage()?, idle_cpu_percent })
}

/// The share of one core that the server takes while `work` runs.
fn cpu_percent(server: &Server, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let (before, watch) = (server.usage()?.cpu, Stopwatch::start());
    work()?;
    let used = server.usage()?.cpu.saturating_sub(before);
    Ok(used.as_secs_f64() / watch.elapsed().as_secs_f64() * 100.0)
}

/// What idle consumers cost.
#[derive(Debug)]
pub struct Idle {
    consumers: usize,
    sessions: bool,
    /// The share of one core that the server takes for them.
    pub cpu_percent: f64,
    answers: usize,
    usage: Usage,
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} idle consumers {} fetch sessions, each asking again after {MAX_WAIT_MS} ms: \
             {:.1} % of a core, {}, {} answers",
            self.consumers,
            if self.sessions { "with" } else { "without" },
            self.cpu_percent,
            mib(self.usage.rss_bytes),
            self.answers
        )
    }
}

/// Has `count` consumers wait for records of an empty topic for `time`, one connection each: in fetch
/// sessions (KIP-227), as Java's consumer does, or without, as librdkafka's.
///
/// # Errors
/// When a consumer is refused, or something comes.
pub fn idle_consumers(
    server: &Server,
    count: usize,
    sessions: bool,
    time: Duration,
) -> Result<Idle> {
    const PARTITIONS: i32 = 12;
    Admin::connect(server.address())?.create_topic("idle", PARTITIONS)?;
    let mut consumers = Vec::new();
    for partition in (0..PARTITIONS).cycle().take(count) {
        consumers.push(IdleConsumer::connect(server, partition, sessions)?);
    }
    let mut answers = 0;
    // The answers come in about the order of the requests, so that one thread serves them all.
    let mut ask_again = |most: Duration| -> Result<()> {
        let deadline = Deadline::after(most);
        while !deadline.has_passed() {
            for consumer in &mut consumers {
                consumer.ask_again()?;
                answers += 1;
            }
        }
        Ok(())
    };
    ask_again(Duration::from_secs(2))?; // Until all of them are in their rhythm.
    let cpu_percent = cpu_percent(server, || ask_again(time))?;
    Ok(Idle { consumers: count, sessions, cpu_percent, answers, usage: server.usage()? })
}

/// A consumer of one partition that has asked and waits.
struct IdleConsumer {
    connection: Connection,
    request: FetchRequest,
    correlation: i32,
}

impl IdleConsumer {
    fn connect(server: &Server, partition: i32, session: bool) -> Result<Self> {
        let mut connection = Connection::open(server.address())?;
        let request = fetch(partition).with_session_epoch(if session { 0 } else { -1 });
        let correlation = connection.send(FETCH, &request)?;
        Ok(Self { connection, request, correlation })
    }

    /// Waits for the answer and asks again.
    fn ask_again(&mut self) -> Result<()> {
        let Self { connection, request, correlation } = self;
        let answer = connection.receive::<FetchRequest>(FETCH, *correlation)?;
        let mut partitions = answer.responses.iter().flat_map(|it| &it.partitions);
        let error = partitions.find(|it| it.error_code != 0);
        ensure!(error.is_none(), "a consumer was refused: {error:?}");
        ensure!(answer.error_code == 0, "a fetch session ended: {}", answer.error_code);
        if request.session_epoch >= 0 {
            ensure!(answer.session_id != 0, "a consumer was given no fetch session");
            request.session_id = answer.session_id;
            request.session_epoch += 1;
            request.topics.clear();
        }
        *correlation = connection.send(FETCH, request)?;
        Ok(())
    }
}

fn fetch(partition: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(0)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_static_str("idle")))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(MAX_WAIT_MS)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_topics(vec![topic])
}
