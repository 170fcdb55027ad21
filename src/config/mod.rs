//! A node's configuration: what an operator may say, with defaults.
//!
//! Names are those of the file; the environment says `WEIR_SECTION__KEY`. Reading is `load`'s.

mod load;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

pub(crate) use load::load;

/// All of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The cluster's name: a node refuses to join one of another name.
    pub(crate) cluster: String,
    pub(crate) node: Node,
    pub(crate) meta: Meta,
    pub(crate) store: Store,
    pub(crate) kafka: Kafka,
    pub(crate) http: Http,
    pub(crate) rpc: Rpc,
    pub(crate) broker: Broker,
    pub(crate) collector: Collector,
    pub(crate) proxy: Proxy,
    pub(crate) topics: Topics,
    pub(crate) groups: Groups,
    pub(crate) log: Log,
}

/// Who this node is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Node {
    pub(crate) id: Id,
    pub(crate) zone: Option<String>,
    pub(crate) roles: Vec<String>,
}

/// A node's id: its own, or a new one whenever it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "it has to be a number, or \"auto\"")]
pub(crate) enum Id {
    Given(u32),
    Asked(Asked),
}

/// How a new id is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Asked {
    Auto,
}

/// Where the metadata is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Meta {
    pub(crate) url: String,
    /// Passed to the store's client.
    #[serde(deserialize_with = "options")]
    pub(crate) options: BTreeMap<String, String>,
}

/// Where records are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Store {
    pub(crate) url: String,
    /// Passed to the store's client.
    #[serde(deserialize_with = "options")]
    pub(crate) options: BTreeMap<String, String>,
}

/// Options are text to whom they are passed; `true` and `7` need no quotes.
fn options<'de, D: Deserializer<'de>>(source: D) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "it has to be text, a number, or true or false")]
    enum Value {
        Text(String),
        Flag(bool),
        Number(i64),
    }
    let read = BTreeMap::<String, Value>::deserialize(source)?;
    let text = |value| match value {
        Value::Text(text) => text,
        Value::Flag(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
    };
    Ok(read.into_iter().map(|(name, value)| (name, text(value))).collect())
}

/// Where Kafka clients connect: one listener, or several by name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Kafka {
    pub(crate) listen: String,
    pub(crate) advertise: Option<String>,
}

/// Where health, metrics and the admin API are served.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    pub(crate) listen: String,
    /// Who knows it may change the cluster over HTTP.
    pub(crate) admin_token: Option<String>,
}

/// Where other nodes reach this one, if there are any.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rpc {
    pub(crate) listen: Option<String>,
    pub(crate) advertise: Option<String>,
}

/// The broker role.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Broker {
    /// Room for records in memory: in flight, waiting for a checkpoint, and the tail for readers.
    pub(crate) buffer_bytes: u64,
    pub(crate) compaction_bytes: u64,
    /// How long after a round of log compaction the next begins.
    pub(crate) compaction_interval_ms: u64,
    /// How often records are looked for that are too old or too many.
    pub(crate) retention_interval_ms: u64,
    /// How long records wait for company while others are being written; 0: until that is done.
    pub(crate) linger_ms: Option<u64>,
    /// They wait for so long also while nothing is being written: fewer requests to the store.
    pub(crate) linger_always: bool,
    /// How many tasks partitions are spread over; 0: one a core, at most 8.
    pub(crate) shards: usize,
    /// How large a file of the local write-ahead log is made.
    pub(crate) wal_file_bytes: u64,
}

/// Who deletes what nobody refers to, in a cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Collector {
    /// How long after a round the next begins.
    pub(crate) interval_ms: u64,
    /// How long what nobody refers to stays.
    pub(crate) grace_ms: u64,
}

/// The proxy role.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Proxy {
    /// The longest request.
    pub(crate) request_max_bytes: usize,
    /// What all requests that are received or worked on may hold.
    pub(crate) request_memory_bytes: usize,
    /// What all answers that are made or written may hold.
    pub(crate) response_memory_bytes: usize,
    /// What indexes of stored objects may hold.
    pub(crate) index_cache_bytes: u64,
    /// What stored records that were read may hold.
    pub(crate) block_cache_bytes: u64,
    pub(crate) connections_max: usize,
    pub(crate) connections_per_address_max: usize,
}

/// Topics that do not say otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Topics {
    /// `auto.create.topics.enable`.
    pub(crate) auto_create: bool,
    /// `num.partitions`.
    pub(crate) default_partitions: u32,
}

/// Consumer groups.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Groups {
    /// `group.initial.rebalance.delay.ms`.
    pub(crate) initial_rebalance_delay_ms: u64,
    /// `group.min.session.timeout.ms`.
    pub(crate) session_timeout_min_ms: u64,
    /// `offsets.topic.num.partitions`, when the topic is created.
    pub(crate) offsets_topic_partitions: u32,
}

/// What is logged, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// As `RUST_LOG` has it, e.g. `info` or `weir_broker=debug,info`.
    pub(crate) level: String,
    /// `text` or `json`.
    pub(crate) format: String,
}

const MIB: usize = 1 << 20;

impl Default for Config {
    fn default() -> Self {
        Self {
            cluster: "weir".to_owned(),
            node: Node::default(),
            meta: Meta::default(),
            store: Store::default(),
            kafka: Kafka::default(),
            http: Http::default(),
            rpc: Rpc::default(),
            broker: Broker::default(),
            collector: Collector::default(),
            proxy: Proxy::default(),
            topics: Topics::default(),
            groups: Groups::default(),
            log: Log::default(),
        }
    }
}

impl Default for Node {
    fn default() -> Self {
        let roles = ["broker", "coordinator", "proxy", "controller"];
        Self { id: Id::Given(1), zone: None, roles: roles.map(str::to_owned).into() }
    }
}

impl Default for Meta {
    fn default() -> Self {
        Self { url: "embedded:///var/lib/weir/meta".to_owned(), options: BTreeMap::new() }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "file:///var/lib/weir".to_owned(), options: BTreeMap::new() }
    }
}

impl Default for Kafka {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9092".to_owned(), advertise: None }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9644".to_owned(), admin_token: None }
    }
}

impl Default for Broker {
    fn default() -> Self {
        Self {
            buffer_bytes: 256 << 20,
            compaction_bytes: 128 << 20,
            compaction_interval_ms: 30_000,
            retention_interval_ms: 30_000,
            linger_ms: None,
            linger_always: false,
            shards: 0,
            wal_file_bytes: 64 << 20,
        }
    }
}

impl Default for Collector {
    fn default() -> Self {
        Self { interval_ms: 300_000, grace_ms: 600_000 }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            request_max_bytes: 100 * MIB,
            request_memory_bytes: 256 * MIB,
            response_memory_bytes: 256 * MIB,
            index_cache_bytes: 32 << 20,
            block_cache_bytes: 128 << 20,
            connections_max: 20_000,
            connections_per_address_max: 10_000,
        }
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self { auto_create: true, default_partitions: 1 }
    }
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            initial_rebalance_delay_ms: 3_000,
            session_timeout_min_ms: 6_000,
            offsets_topic_partitions: 50,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: "text".to_owned() }
    }
}
