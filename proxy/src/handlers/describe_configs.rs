//! DescribeConfigs: every config of a topic, set or not, and what of a broker's there is to tell.

use std::collections::BTreeMap;

use bytestring::ByteString;
use weir_meta::{
    model::check_topic_name,
    topic_config::{ConfigDefinition, Kind, TOPIC_CONFIGS},
};
use weir_protocol::{
    ErrorCode,
    messages::{
        DescribeConfigsRequest, DescribeConfigsResponse,
        describe_configs::{
            DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
            DescribeConfigsSynonym,
        },
    },
};

use super::{Answer, Call, Handlers, Unanswered};
use crate::{routing::Shown, settings::Settings};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// What the description of one resource takes in memory and on the wire.
const RESOURCE_BYTES: usize = 10 * 1024;
/// What its synonyms take.
const SYNONYMS_BYTES: usize = 6 * 1024;
/// What its documentation takes.
const DOCUMENTATION_BYTES: usize = 6 * 1024;

/// Where a value comes from, in Kafka's numbers.
pub(super) mod source {
    /// Set for this topic.
    pub(in crate::handlers) const TOPIC: i8 = 1;
    /// Set when the node was started.
    pub(super) const NODE: i8 = 4;
    /// Not set.
    pub(in crate::handlers) const DEFAULT: i8 = 5;
}

/// What is wanted beside names and values.
#[derive(Clone, Copy)]
struct Extras {
    synonyms: bool,
    documentation: bool,
}

impl Extras {
    fn resource_bytes(self) -> usize {
        RESOURCE_BYTES
            + if self.synonyms { SYNONYMS_BYTES } else { 0 }
            + if self.documentation { DOCUMENTATION_BYTES } else { 0 }
    }
}

type Refusal = (ErrorCode, String);

pub(super) async fn handle(
    handlers: &Handlers,
    call: &Call,
    request: DescribeConfigsRequest,
) -> Result<Answer, Unanswered> {
    let extras =
        Extras { synonyms: request.include_synonyms, documentation: request.include_documentation };
    let memory = handlers.room(request.resources.len(), extras.resource_bytes()).await?;
    let extras =
        Extras { synonyms: request.include_synonyms, documentation: request.include_documentation };
    let shown = handlers.shown(call);
    let describe = |resource: DescribeConfigsResource| {
        let name = &resource.resource_name;
        let configs = match resource.resource_type {
            TOPIC => topic(handlers, name, extras),
            BROKER => broker(&handlers.shared.settings, &shown, name, extras),
            kind => Err((
                ErrorCode::INVALID_REQUEST,
                format!("resources of type {kind} have no configs"),
            )),
        };
        result(resource, configs)
    };
    let results = request.resources.into_iter().map(describe).collect();
    let body = DescribeConfigsResponse { results, ..DescribeConfigsResponse::default() };
    Ok(Answer { body: body.into(), memory })
}

fn result(
    resource: DescribeConfigsResource,
    configs: Result<Vec<DescribeConfigsResourceResult>, Refusal>,
) -> DescribeConfigsResult {
    let DescribeConfigsResource { resource_type, resource_name, configuration_keys } = resource;
    let (error_code, error_message, mut configs) = match configs {
        Ok(configs) => (ErrorCode::NONE, None, configs),
        Err((code, message)) => (code, Some(message.into()), Vec::new()),
    };
    if let Some(wanted) = configuration_keys {
        configs.retain(|config| wanted.contains(&config.name));
    }
    DescribeConfigsResult { error_code, error_message, resource_type, resource_name, configs }
}

fn topic(
    handlers: &Handlers,
    name: &str,
    extras: Extras,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    check_topic_name(name)
        .map_err(|error| (ErrorCode::INVALID_TOPIC_EXCEPTION, error.to_string()))?;
    let snapshot = handlers.view.now();
    let topic = snapshot.topic(name).ok_or_else(|| {
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no topic {name}"))
    })?;
    Ok(TOPIC_CONFIGS.iter().map(|config| of_topic(config, &topic.configs, extras)).collect())
}

fn of_topic(
    config: &ConfigDefinition,
    set: &BTreeMap<String, String>,
    extras: Extras,
) -> DescribeConfigsResourceResult {
    let set = set.get(config.name);
    let default = ByteString::from_static(config.default);
    let value = set.map_or(default.clone(), |value| value.as_str().into());
    let from_topic = set.map(|_| synonym(config.name, value.clone(), source::TOPIC));
    let from_default = config.synonym.map(|name| synonym(name, default, source::DEFAULT));
    let synonyms = from_topic.into_iter().chain(from_default);
    DescribeConfigsResourceResult {
        name: ByteString::from_static(config.name),
        value: Some(value),
        read_only: false,
        config_source: if set.is_some() { source::TOPIC } else { source::DEFAULT },
        is_sensitive: false,
        synonyms: if extras.synonyms { synonyms.collect() } else { Vec::new() },
        config_type: type_of(config.kind),
        documentation: extras.documentation.then(|| ByteString::from_static(config.documentation)),
    }
}

fn synonym(name: &'static str, value: ByteString, source: i8) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym { name: ByteString::from_static(name), value: Some(value), source }
}

/// Kafka's numbers of types.
fn type_of(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::Choice(_) => 2,
        Kind::Int(..) | Kind::IntOrMinusOne(..) => 3,
        Kind::Long(..) => 5,
        Kind::Double(..) => 6,
        Kind::List(_) | Kind::Replicas => 7,
    }
}

fn broker(
    settings: &Settings,
    shown: &Shown,
    name: &str,
    extras: Extras,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    // The empty name stands for what all brokers have in common and can be changed: nothing.
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let proxy = name.parse().ok().map(weir_ids::NodeId).and_then(|node| shown.proxy(node));
    let proxy = proxy.ok_or_else(|| {
        (
            ErrorCode::INVALID_REQUEST,
            format!("there is no broker {name}; ask for one of the listed"),
        )
    })?;
    let number = |name, value: i64, documentation| {
        of_broker(name, value.to_string().into(), 5, source::NODE, documentation, extras)
    };
    let size = |name, bytes: usize, documentation| {
        number(name, i64::try_from(bytes).unwrap_or(i64::MAX), documentation)
    };
    let auto_create = settings.auto_create_topics.to_string().into();
    let idle_ms = i64::try_from(settings.connection_idle.as_millis()).unwrap_or(i64::MAX);
    let mut configs = vec![
        number("broker.id", i64::from(proxy.node.0), "The number of this node."),
        number("node.id", i64::from(proxy.node.0), "The number of this node."),
        number(
            "connections.max.idle.ms",
            idle_ms,
            "After which time an idle connection is closed.",
        ),
        number(
            "default.replication.factor",
            i64::from(settings.new_topics.default_replication_factor),
            "Shown for topics that don't say; the store replicates.",
        ),
        number(
            "num.partitions",
            i64::from(settings.new_topics.default_partitions),
            "Partitions of topics that don't say.",
        ),
        size("fetch.max.bytes", settings.fetch_max_bytes, "The largest fetch response."),
        size("max.connections", settings.connections_max, "Connections at the same time."),
        size(
            "max.connections.per.ip",
            settings.connections_per_address_max,
            "Connections from one address at the same time.",
        ),
        size(
            "queued.max.request.bytes",
            settings.request_memory_bytes,
            "What all requests under way may hold.",
        ),
        size("socket.request.max.bytes", settings.request_max_bytes, "The largest request."),
        of_broker(
            "auto.create.topics.enable",
            auto_create,
            1,
            source::NODE,
            "Whether a topic is created when it is first asked for.",
            extras,
        ),
    ];
    configs.extend(TOPIC_CONFIGS.iter().filter_map(|config| {
        let value = ByteString::from_static(config.default);
        let kind = type_of(config.kind);
        let name = config.synonym?;
        Some(of_broker(name, value, kind, source::DEFAULT, config.documentation, extras))
    }));
    configs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(configs)
}

fn of_broker(
    name: &'static str,
    value: ByteString,
    config_type: i8,
    config_source: i8,
    documentation: &'static str,
    extras: Extras,
) -> DescribeConfigsResourceResult {
    let synonyms = if extras.synonyms {
        vec![synonym(name, value.clone(), config_source)]
    } else {
        Vec::new()
    };
    DescribeConfigsResourceResult {
        name: ByteString::from_static(name),
        value: Some(value),
        read_only: true,
        config_source,
        is_sensitive: false,
        synonyms,
        config_type,
        documentation: extras.documentation.then(|| ByteString::from_static(documentation)),
    }
}
