//! What the configuration means to each role.

use std::time::Duration;

use anyhow::{Context, Result};
use weir_broker::{BrokerSettings, SlotSettings, Tending, collector::CollectorSettings};
use weir_ids::NodeId;
use weir_proxy::{BoundProxy, ListenerConfig, ProxyConfig, Settings as ProxySettings};
use weir_segment_store::ReaderSettings;

use super::Roles;
use crate::config::Config;

/// At most so many tasks share the partitions.
const SHARDS_MAX: usize = 8;

/// How long records wait for company, while an object store takes a slot, unless set.
const OBJECT_LINGER: Duration = Duration::from_millis(50);

pub(super) fn broker(config: &Config, sole: bool) -> BrokerSettings {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = match config.broker.shards {
        0 => cores.min(SHARDS_MAX),
        set => set,
    };
    let linger = match config.broker.linger_ms {
        // A local log gathers while it synchronises.
        None if sole => Duration::ZERO,
        None => OBJECT_LINGER,
        Some(set) => Duration::from_millis(set),
    };
    let slots = SlotSettings {
        linger: (!linger.is_zero()).then_some(linger),
        patient: config.broker.linger_always,
        ..SlotSettings::default()
    };
    let buffer_bytes = config.broker.buffer_bytes;
    BrokerSettings {
        buffer_bytes,
        slots,
        shards,
        sole,
        tending: Tending {
            retention_interval: Duration::from_millis(config.broker.retention_interval_ms),
            compaction_interval: Duration::from_millis(config.broker.compaction_interval_ms),
            compaction_bytes: config.broker.compaction_bytes,
            ..Tending::default()
        },
    }
}

pub(super) fn collector(config: &Config) -> CollectorSettings {
    CollectorSettings {
        interval: Duration::from_millis(config.collector.interval_ms),
        grace: Duration::from_millis(config.collector.grace_ms),
        ..CollectorSettings::default()
    }
}

pub(super) fn reader(config: &Config) -> ReaderSettings {
    ReaderSettings {
        index_cache_bytes: config.proxy.index_cache_bytes,
        block_cache_bytes: config.proxy.block_cache_bytes,
        ..ReaderSettings::default()
    }
}

pub(super) fn coordinator(config: &Config) -> weir_coordinator::Settings {
    weir_coordinator::Settings {
        initial_rebalance_delay: Duration::from_millis(config.groups.initial_rebalance_delay_ms),
        session_timeout_min: Duration::from_millis(config.groups.session_timeout_min_ms),
        offsets_topic_partitions: config.groups.offsets_topic_partitions,
        ..weir_coordinator::Settings::default()
    }
}

pub(super) fn proxy(config: &Config, node: NodeId, cluster_id: &str) -> Result<ProxyConfig> {
    let advertise = config.kafka.advertise.as_deref().map(host_port).transpose()?;
    let zone = config.node.zone.clone().unwrap_or_default();
    let listen = config.kafka.listen.clone();
    let proxy = &config.proxy;
    Ok(ProxyConfig {
        node,
        cluster_id: cluster_id.to_owned(),
        listeners: vec![ListenerConfig { name: "kafka".to_owned(), listen, advertise, zone }],
        settings: ProxySettings {
            request_max_bytes: proxy.request_max_bytes,
            request_memory_bytes: proxy.request_memory_bytes,
            response_memory_bytes: proxy.response_memory_bytes,
            connections_max: proxy.connections_max,
            connections_per_address_max: proxy.connections_per_address_max,
            auto_create_topics: config.topics.auto_create,
            ..ProxySettings::default()
        },
    })
}

fn host_port(text: &str) -> Result<(String, u16)> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.with_context(|| {
        format!("kafka.advertise is {text:?}, but must be HOST:PORT, e.g. weir-1.example.com:9092")
    })?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

/// Says what the node may hold in memory at most.
pub(super) fn print_budget(config: &Config, roles: Roles, proxy: Option<&BoundProxy>) {
    const MIB: u64 = 1 << 20;
    let mut all: Vec<(&str, u64)> = Vec::new();
    if roles.broker {
        let broker = self::broker(config, false);
        all.push(("records", broker.buffer_bytes));
        all.push(("folds", broker.fold_memory_bytes()));
        all.push(("compaction", broker.compaction_memory_bytes()));
    }
    all.push(("indexes", 2 * config.proxy.index_cache_bytes));
    all.push(("blocks", config.proxy.block_cache_bytes));
    let of_proxy = proxy.map(BoundProxy::memory_budget).unwrap_or_default();
    all.extend(of_proxy.into_iter().map(|(name, bytes)| (name, bytes as u64)));
    let sum: u64 = all.iter().map(|(_, bytes)| bytes).sum();
    let parts: Vec<String> =
        all.iter().map(|(name, bytes)| format!("{name} {} MiB", bytes / MIB)).collect();
    tracing::info!("memory is bounded by {} MiB: {}", sum / MIB, parts.join(", "));
}
