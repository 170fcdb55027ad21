//! What a test asks a server about topics and offsets, by the wire and on one node.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{
    CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest, GroupId, ListOffsetsRequest,
    MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::wait;
use crate::wire::Connection;

/// How long a server may take to do what was asked.
const DONE: Duration = Duration::from_secs(60);
/// As Kafka says "the log's end" where a timestamp is due.
const LATEST: i64 = -1;
/// As Kafka says "the log's start" where a timestamp is due.
const EARLIEST: i64 = -2;
/// Answers that pass: not a coordinator yet, or loading.
const COORDINATOR_WAITS: [i16; 3] = [14, 15, 16];

/// An administrator's connection to a server.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    connection: Connection,
}

impl Admin {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self { address, connection: Connection::open(address)? })
    }

    /// Creates a topic and waits until all its partitions have a leader. Its records stay for ever,
    /// for tests write made-up timestamps, which retention would find too old.
    ///
    /// # Errors
    /// When the server refuses, or the leaders are not there in time.
    pub fn create_topic(&mut self, name: &str, partitions: i32) -> Result<()> {
        self.create_topic_with(name, partitions, &[("retention.ms", "-1")])
    }

    /// Creates a topic with configs and waits until all its partitions have a leader.
    ///
    /// # Errors
    /// When the server refuses, or the leaders are not there in time.
    pub fn create_topic_with(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&'static str, &str)],
    ) -> Result<()> {
        let config = |(name, value): &(&'static str, &str)| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_static_str(name))
                .with_value(Some(StrBytes::from_string((*value).to_owned())))
        };
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_configs(configs.iter().map(config).collect())
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let timeout_ms = i32::try_from(DONE.as_millis())?;
        let request =
            CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(timeout_ms);
        let answer = self.connection.request(5, &request)?;
        let topic = answer.topics.first().context("no answer about the topic")?;
        if topic.error_code != 0 {
            bail!("topic {name} is not created: error {}", topic.error_code);
        }
        let wanted = usize::try_from(partitions)?;
        wait::until(&format!("{name} has {partitions} leaders"), DONE, || {
            self.leaders(name).ok().filter(|leaders| *leaders == wanted)
        })?;
        self.end_offsets(name, partitions)?; // Leaders that know that they are.
        Ok(())
    }

    /// Deletes the records of the partitions from 0 on below these offsets.
    ///
    /// # Errors
    /// When the server refuses one.
    pub fn delete_records(&mut self, topic: &str, below: &[i64]) -> Result<()> {
        let partition = |(index, offset): (i32, &i64)| {
            DeleteRecordsPartition::default().with_partition_index(index).with_offset(*offset)
        };
        let partitions = (0..).zip(below).map(partition).collect();
        let asked =
            DeleteRecordsTopic::default().with_name(topic_name(topic)).with_partitions(partitions);
        let timeout_ms = i32::try_from(DONE.as_millis())?;
        let request =
            DeleteRecordsRequest::default().with_topics(vec![asked]).with_timeout_ms(timeout_ms);
        let answer = self.connection.request(2, &request)?;
        let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        match partitions.find(|it| it.error_code != 0) {
            Some(it) => bail!("{topic}/{}: error {}", it.partition_index, it.error_code),
            None => Ok(()),
        }
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn delete_topic(&mut self, name: &str) -> Result<()> {
        let timeout_ms = i32::try_from(DONE.as_millis())?;
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![topic_name(name)])
            .with_timeout_ms(timeout_ms);
        let answer = self.connection.request(5, &request)?;
        let error = answer.responses.first().context("no answer about the topic")?.error_code;
        match error {
            0 => Ok(()),
            error => bail!("topic {name} is not deleted: error {error}"),
        }
    }

    /// The number of partitions of `topic` that have a leader.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn leaders(&mut self, topic: &str) -> Result<usize> {
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(false);
        let answer = self.connection.request(9, &request)?;
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        Ok(partitions.filter(|it| it.error_code == 0 && it.leader_id.0 >= 0).count())
    }

    /// The first offset of each of the partitions from 0 on.
    ///
    /// # Errors
    /// When the server does not know a partition.
    pub fn start_offsets(&mut self, topic: &str, partitions: i32) -> Result<Vec<i64>> {
        self.offsets(topic, partitions, EARLIEST)
    }

    /// The high watermark of each of the partitions from 0 on.
    ///
    /// # Errors
    /// When the server does not know a partition.
    pub fn end_offsets(&mut self, topic: &str, partitions: i32) -> Result<Vec<i64>> {
        self.offsets(topic, partitions, LATEST)
    }

    /// Asks again while partitions have no leader yet, as clients do.
    fn offsets(&mut self, topic: &str, partitions: i32, at: i64) -> Result<Vec<i64>> {
        let mut last = None;
        let answer = wait::until(&format!("all partitions of {topic} serve"), DONE, || match self
            .offsets_once(topic, partitions, at)
        {
            Ok(offsets) => Some(offsets),
            Err(error) => {
                last = Some(error);
                None
            }
        });
        answer.with_context(|| last.map(|error| format!("{error:#}")).unwrap_or_default())
    }

    fn offsets_once(&mut self, topic: &str, partitions: i32, at: i64) -> Result<Vec<i64>> {
        let asked = (0..partitions).map(|index| {
            ListOffsetsPartition::default().with_partition_index(index).with_timestamp(at)
        });
        let asked = ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(asked.collect());
        let request =
            ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![asked]);
        let answer = self.connection.request(5, &request)?;
        let topics = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let mut offsets = vec![None; usize::try_from(partitions)?];
        for it in topics {
            if it.error_code != 0 {
                bail!("no offset of {topic}/{}: error {}", it.partition_index, it.error_code);
            }
            *offsets.get_mut(usize::try_from(it.partition_index)?).context("not asked for")? =
                Some(it.offset);
        }
        let all: Option<Vec<i64>> = offsets.into_iter().collect();
        all.context("a partition is missing in the answer")
    }

    /// The offsets that a group has committed for the partitions from 0 on; -1 where it has not.
    ///
    /// # Errors
    /// When the group's coordinator does not answer in time.
    pub fn committed(&mut self, group: &str, topic: &str, partitions: i32) -> Result<Vec<i64>> {
        let asked = OffsetFetchRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partition_indexes((0..partitions).collect());
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
            .with_topics(Some(vec![asked]));
        let answer = wait::until("the group's coordinator answers", DONE, || {
            let answer = self.connection.request(5, &request);
            if answer.is_err() {
                // The server may just be coming back.
                self.connection = Connection::open(self.address).ok()?;
                return None;
            }
            answer.ok().filter(|it| !COORDINATOR_WAITS.contains(&it.error_code))
        })?;
        if answer.error_code != 0 {
            bail!("no offsets of group {group}: error {}", answer.error_code);
        }
        let mut offsets = vec![-1; usize::try_from(partitions)?];
        for it in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            let place = offsets.get_mut(usize::try_from(it.partition_index)?);
            *place.context("not asked for")? = it.committed_offset;
        }
        Ok(offsets)
    }

    /// Commits offsets for a group without members, as a tool would; once.
    ///
    /// # Errors
    /// When the server refuses or the connection ends; then it may be committed or not.
    pub fn commit(&mut self, group: &str, topic: &str, offsets: &[(i32, i64)]) -> Result<()> {
        let asked = offsets.iter().map(|(partition, offset)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
        });
        let asked = OffsetCommitRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(asked.collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![asked]);
        let answer = self.connection.request(7, &request)?;
        let errors = answer.topics.iter().flat_map(|topic| &topic.partitions);
        match errors.map(|it| it.error_code).find(|error| *error != 0) {
            Some(error) => bail!("group {group} is not committed: error {error}"),
            None => Ok(()),
        }
    }

    /// Connects anew, after a restart.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn reconnect(&mut self) -> Result<()> {
        self.connection = Connection::open(self.address)?;
        Ok(())
    }
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
