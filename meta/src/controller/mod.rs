//! The controller: the one elected process that changes which topics and assignments there are.
//!
//! [`Controller`] is what proxies and coordinators call: [`LocalController`] within a process, a
//! client of its service elsewhere. Every process that may be elected runs a [`LocalController`];
//! one of them is, and the others answer [`Error::NotController`].
//!
//! Every change is a transaction that compares the key of the election, so a controller that was
//! replaced without noticing changes nothing. It never touches the object store, and nothing that
//! it does is needed to produce or fetch: while nobody is elected, clients go on.
//!
//! - `election`: being elected, and knowing it.
//! - `question`: what can be asked. `create`, `delete`, `configs`: what clients ask for. `request`: what
//!   operators do.
//! - `partitions`: making the keys of new partitions, in as many transactions as it takes.
//! - `placement`: which node should own what; pure. `balance`: what should move because of its load; pure.
//! - `liveness`: who is probably alive; pure. `link`: whether this process could tell. `probe`: how
//!   a broker is asked. `report`: how others say that they can't reach one. `condemn`: doing it.
//! - `rpc`: the controller across processes.
//! - `driver`: what goes on by itself: condemning the sessions of dead brokers, keeping the
//!   assignments even (`moves`), finishing what was interrupted, removing what was deleted.

mod balance;
mod condemn;
mod configs;
mod create;
mod delete;
mod driver;
mod election;
mod error;
mod link;
mod liveness;
mod local;
mod moves;
mod partitions;
pub mod placement;
mod probe;
mod question;
mod report;
mod request;
pub mod rpc;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use async_trait::async_trait;
pub use balance::{LOAD_REPORT_EVERY, LoadReport};
pub use election::ELECTION_TTL;
pub use error::Error;
pub use liveness::DEAD_AFTER;
pub use local::{LocalController, Settings};
pub use probe::{NoProbe, Probe, Probed};
pub use question::{Drain, MovePartitions, Question, Reply};
pub use report::BrokenLinks;
use weir_ids::{NodeId, SessionId, TopicId};

use crate::store::Revision;

/// The internal topic of consumer groups.
pub const CONSUMER_OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The internal topic of transactions.
pub const TRANSACTION_STATE_TOPIC: &str = "__transaction_state";

/// Changes which topics there are and where their partitions are. Shared as `Arc<dyn Controller>`.
#[async_trait]
pub trait Controller: Send + Sync {
    /// Does what it is asked: what all the others come to.
    ///
    /// # Errors
    /// [`Error`].
    async fn ask(&self, question: Question) -> Result<Reply, Error>;

    /// Creates a topic. When this returns, the topic can be seen in the store; views follow.
    ///
    /// # Errors
    /// [`Error`].
    async fn create_topic(&self, topic: CreateTopic) -> Result<CreatedTopic, Error> {
        self.ask(Question::CreateTopic(topic)).await?.created()
    }

    /// Deletes a topic. When this returns, the topic is gone for clients and its name may be used
    /// again; its records go in the background.
    ///
    /// # Errors
    /// [`Error`].
    async fn delete_topic(&self, topic: TopicRef) -> Result<DeletedTopic, Error> {
        self.ask(Question::DeleteTopic(topic)).await?.deleted()
    }

    /// Raises a topic's partition count.
    ///
    /// # Errors
    /// [`Error`].
    async fn create_partitions(&self, wanted: CreatePartitions) -> Result<(), Error> {
        self.ask(Question::CreatePartitions(wanted)).await?.done()
    }

    /// Changes a topic's configs.
    ///
    /// # Errors
    /// [`Error`].
    async fn alter_configs(&self, wanted: AlterConfigs) -> Result<(), Error> {
        self.ask(Question::AlterConfigs(wanted)).await?.done()
    }

    /// Tells that the connection to a session's broker broke, or can't be made. Returns at once; if
    /// the broker's address then refuses the controller too, the session is condemned. A hint, which
    /// may be lost: repeat it, once a second or so, as long as that lasts.
    ///
    /// # Errors
    /// [`Error::NotController`].
    async fn report_broken(&self, session: SessionId) -> Result<(), Error> {
        self.ask(Question::ReportBroken(session)).await?.done()
    }

    /// Tells what a broker has to do. A hint, which may be lost: repeat it every [`LOAD_REPORT_EVERY`].
    ///
    /// # Errors
    /// [`Error::NotController`].
    async fn report_load(&self, report: LoadReport) -> Result<(), Error> {
        self.ask(Question::ReportLoad(report)).await?.done()
    }

    /// Gives partitions to another node. When this returns that is recorded; the partitions follow within a
    /// moment, and clients notice a pause.
    ///
    /// # Errors
    /// [`Error`].
    async fn move_partitions(&self, wanted: MovePartitions) -> Result<(), Error> {
        self.ask(Question::MovePartitions(wanted)).await?.done()
    }

    /// Takes everything from a node, or lets it have something again. When this returns that is recorded;
    /// the partitions follow.
    ///
    /// # Errors
    /// [`Error`].
    async fn drain(&self, wanted: Drain) -> Result<(), Error> {
        self.ask(Question::Drain(wanted)).await?.done()
    }
}

/// A topic that is to be created.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct CreateTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; `None` or -1: the default.
    pub partitions: Option<i32>,
    /// From 1 to 3; `None` or -1: the default.
    pub replication_factor: Option<i16>,
    /// Which brokers a client wants for which partitions: checked for sense, then ignored.
    pub assignments: Vec<ManualAssignment>,
    /// The configs to set.
    pub configs: BTreeMap<String, String>,
    /// Whether it belongs to Weir itself. The internal topics of Kafka always do.
    pub internal: bool,
    /// Only say whether it could be created.
    pub validate_only: bool,
}

/// The brokers that a client wants for a partition.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct ManualAssignment {
    /// The partition.
    pub partition: i32,
    /// The brokers.
    pub brokers: Vec<i32>,
}

/// A topic that was created, or could be.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct CreatedTopic {
    /// Its identity; [`TopicId::NIL`] if it was only validated.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
    /// What clients are told.
    pub replication_factor: i16,
    /// The configs that were set.
    pub configs: BTreeMap<String, String>,
    /// From which revision of the store on it can be seen.
    pub revision: Revision,
}

/// A topic that was deleted.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct DeletedTopic {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub id: TopicId,
}

/// Names a topic.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By identity.
    Id(TopicId),
}

/// A topic that is to have more partitions.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct CreatePartitions {
    /// The topic's name.
    pub topic: String,
    /// How many it is to have in all.
    pub total: i32,
    /// Which brokers a client wants for the new ones, in order: checked for sense, then ignored.
    pub assignments: Option<Vec<Vec<i32>>>,
    /// Only say whether it could be done.
    pub validate_only: bool,
}

/// A change of a topic's configs.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct AlterConfigs {
    /// The topic's name.
    pub topic: String,
    /// What to change.
    pub change: ConfigsChange,
    /// Only say whether it could be done.
    pub validate_only: bool,
}

/// What to change in a topic's configs.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum ConfigsChange {
    /// These configs, in order; the others stay.
    Incremental(Vec<(String, ConfigOp)>),
    /// These are set and no others.
    Replace(BTreeMap<String, String>),
}

/// A change of one config.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum ConfigOp {
    /// Sets it.
    Set(String),
    /// Back to the default.
    Delete,
    /// Adds to a list.
    Append(String),
    /// Takes from a list.
    Subtract(String),
}

impl std::fmt::Display for TopicRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TopicRef::Name(name) => write!(f, "{name:?}"),
            TopicRef::Id(id) => write!(f, "with id {id}"),
        }
    }
}

/// Nodes by how many partitions each should own.
type Loads = BTreeMap<NodeId, u64>;
