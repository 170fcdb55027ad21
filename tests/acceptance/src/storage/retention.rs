//! Space that is given back: records that are too old or too many, that are deleted, and topics that are.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use weir_test_support::Admin;
use weir_test_support::wait;

use super::Report;
use super::catch_up::VALUE_BYTES;
use super::costs::gib;
use super::site::Site;
use crate::cluster::Setting;
use crate::load::{BulkSettings, BulkWriter, Ledger};

const BY_AGE: &str = "by-age";
const BY_SIZE: &str = "by-size";
const BY_HAND: &str = "by-hand";
/// How long it may take until what is too old is gone.
const EXPIRED: Duration = Duration::from_secs(900);
/// How long a segment of Kafka's would be.
const SEGMENT_BYTES: u64 = 8 << 20;

/// Such a run.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// How much is written to each of three topics.
    pub bytes: u64,
    /// Partitions of each.
    pub partitions: i32,
    /// How many brokers there are.
    pub brokers: u32,
    /// `retention.ms` of one topic.
    pub age: Duration,
    /// What the partitions of another keep together: its `retention.bytes`, times their number.
    pub kept_bytes: u64,
    /// For how long nothing may have been collected before that counts as the end of it.
    pub still: Duration,
}

/// A topic and what was written to it.
struct Topic {
    name: &'static str,
    written: Ledger,
}

impl Retention {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let mut report = Report::default();
        let site = Site::start(setting, self.brokers)?;
        let mut admin = site.admin()?;
        self.create(&mut admin)?;
        let mut topics = self.write(&site)?;
        report.say(format!("after writing: {}", self.looks(&site, &mut admin, &topics)?));

        wait::until("all that is old is gone", EXPIRED, || {
            let starts = admin.start_offsets(BY_AGE, self.partitions).ok()?;
            let ends = admin.end_offsets(BY_AGE, self.partitions).ok()?;
            (starts == ends).then_some(())
        })?;
        self.rest(&site)?;
        report.judge(self.judge_size(&site, &mut admin, &topics[1])?);
        report.say(format!("after expiry: {}", self.looks(&site, &mut admin, &topics)?));

        report.judge(self.delete_half(&site, &topics[2])?);
        report.say(format!("half deleted: {}", self.looks(&site, &mut admin, &topics)?));

        admin.delete_topic(BY_HAND)?;
        topics.pop();
        self.rest(&site)?;
        report.say(format!("topic deleted: {}", self.looks(&site, &mut admin, &topics)?));
        admin.delete_topic(BY_SIZE)?;
        topics.pop();
        self.rest(&site)?;
        report.say(format!("both deleted: {}", self.looks(&site, &mut admin, &topics)?));
        Ok(report)
    }

    fn create(&self, admin: &mut Admin) -> Result<()> {
        let age = self.age.as_millis().to_string();
        let size = (self.kept_bytes / u64::try_from(self.partitions)?).to_string();
        let segment = SEGMENT_BYTES.to_string();
        let segment = ("segment.bytes", segment.as_str());
        let all = ("retention.ms", "-1");
        let of_age = [("retention.ms", age.as_str()), ("segment.ms", "1000"), segment];
        admin.create_topic_with(BY_AGE, self.partitions, &of_age)?;
        let of_size = [all, ("retention.bytes", size.as_str()), segment];
        admin.create_topic_with(BY_SIZE, self.partitions, &of_size)?;
        admin.create_topic_with(BY_HAND, self.partitions, &[all, segment])
    }

    fn load(&self, site: &Site, topic: &'static str) -> BulkSettings {
        BulkSettings {
            topic,
            partitions: self.partitions,
            batch_bytes: 200_000,
            value_bytes: VALUE_BYTES,
            bytes_per_second: None,
            seed: 1,
            clock: site.clock,
        }
    }

    /// Writes to all topics at the same time, so that objects hold records of several.
    fn write(&self, site: &Site) -> Result<Vec<Topic>> {
        let names = [BY_AGE, BY_SIZE, BY_HAND];
        let writers = names.map(|name| BulkWriter::new(site.address(), self.load(site, name)));
        let mut writers = writers.into_iter().collect::<Result<Vec<_>>>()?;
        while let Some(writer) = writers.iter_mut().min_by_key(|writer| writer.sent_bytes()) {
            if writer.sent_bytes() >= self.bytes {
                break;
            }
            writer.turn()?;
        }
        let topic = |(name, writer): (_, BulkWriter)| Ok(Topic { name, written: writer.finish()? });
        names.into_iter().zip(writers).map(topic).collect()
    }

    /// Deletes the first half of a topic's records; says what is wrong then.
    fn delete_half(&self, site: &Site, topic: &Topic) -> Result<Vec<String>> {
        let mut admin = site.admin()?;
        let ends = admin.end_offsets(topic.name, self.partitions)?;
        let half: Vec<i64> = ends.iter().map(|end| end / 2).collect();
        if let Err(error) = admin.delete_records(topic.name, &half) {
            return Ok(vec![format!("records are not deleted: {error:#}")]);
        }
        self.rest(site)?;
        let starts = admin.start_offsets(topic.name, self.partitions)?;
        let mut violations = read(site, topic, &starts, &ends)?;
        if starts != half {
            violations.push(format!("logs begin at {starts:?}, but were deleted below {half:?}"));
        }
        Ok(violations)
    }

    /// Waits until nothing more is given back.
    fn rest(&self, site: &Site) -> Result<()> {
        site.until_still("the store", self.still, Site::stored_bytes).map(drop)
    }

    /// What the store holds, and what can be read.
    fn looks(&self, site: &Site, admin: &mut Admin, topics: &[Topic]) -> Result<String> {
        let mut readable = 0;
        for topic in topics {
            let starts = admin.start_offsets(topic.name, self.partitions)?;
            readable += topic.written.bytes_from(&starts);
        }
        let stored = site.stored_bytes()?;
        Ok(format!("{:.3} GiB in the store, {:.3} GiB to be read", gib(stored), gib(readable)))
    }

    /// What is left of a topic that keeps so many bytes is no less than that, and all there.
    fn judge_size(&self, site: &Site, admin: &mut Admin, topic: &Topic) -> Result<Vec<String>> {
        let starts = admin.start_offsets(topic.name, self.partitions)?;
        let ends = admin.end_offsets(topic.name, self.partitions)?;
        let mut violations = read(site, topic, &starts, &ends)?;
        let kept = self.kept_bytes / u64::try_from(self.partitions)?;
        for (partition, start) in (0..).zip(&starts) {
            let behind = topic.written.of(partition).iter().filter(|it| it.last >= *start);
            let left: u64 = behind.map(|batch| batch.bytes as u64).sum();
            let all: u64 = topic.written.of(partition).iter().map(|it| it.bytes as u64).sum();
            if left < kept.min(all) {
                violations.push(format!("{}/{partition} keeps {left} bytes of {kept}", topic.name));
            }
        }
        Ok(violations)
    }
}

/// Reads what is left of a topic, and says what is wrong with it.
fn read(site: &Site, topic: &Topic, starts: &[i64], ends: &[i64]) -> Result<Vec<String>> {
    let read = site.read(topic.name, starts, ends)?;
    let from: BTreeMap<i32, i64> = (0..).zip(starts.iter().copied()).collect();
    Ok(topic.written.compare_from(topic.name, &read, &from))
}
