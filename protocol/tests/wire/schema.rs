//! Our definitions against Apache Kafka's own: the JSON files in its jars, field by field.

use serde_json::Value;
use weir_protocol::codec::{FieldSchema, Kind, MessageSchema, Role, SchemaDefault, Versions};
use weir_protocol::{ApiKey, ErrorCode};

use crate::subjects::SUBJECTS;

/// The requests of KAFKA.md's first tier. Produce is offered from 0 to 11: older librdkafka needs
/// the 0, and what is above 11 needs transactions.
const TIER_1: &[(i16, &str, i16, i16)] = &[
    (0, "Produce", 0, 11),
    (1, "Fetch", 4, 18),
    (2, "ListOffsets", 1, 11),
    (3, "Metadata", 0, 13),
    (8, "OffsetCommit", 2, 10),
    (9, "OffsetFetch", 1, 10),
    (10, "FindCoordinator", 0, 6),
    (11, "JoinGroup", 0, 9),
    (12, "Heartbeat", 0, 4),
    (13, "LeaveGroup", 0, 5),
    (14, "SyncGroup", 0, 5),
    (15, "DescribeGroups", 0, 6),
    (16, "ListGroups", 0, 5),
    (17, "SaslHandshake", 0, 1),
    (18, "ApiVersions", 0, 4),
    (19, "CreateTopics", 2, 7),
    (20, "DeleteTopics", 1, 6),
    (21, "DeleteRecords", 0, 2),
    (22, "InitProducerId", 0, 5),
    (23, "OffsetForLeaderEpoch", 2, 4),
    (32, "DescribeConfigs", 1, 4),
    (36, "SaslAuthenticate", 0, 2),
    (37, "CreatePartitions", 0, 3),
    (42, "DeleteGroups", 0, 2),
    (60, "DescribeCluster", 0, 2),
];

#[test]
fn tier_1_is_offered_as_kafka_offers_it() {
    let ours: Vec<_> = ApiKey::ALL
        .iter()
        .map(|api| (*api as i16, api.name(), api.advertised().min, api.advertised().max))
        .collect();
    assert_eq!(ours, TIER_1);

    for api in ApiKey::ALL.iter().filter(|api| **api != ApiKey::Produce) {
        let json = load(api.request());
        let mut stable = versions(&json["validVersions"]);
        if json["latestVersionUnstable"] == true {
            stable.max -= 1;
        }
        assert_eq!(api.advertised(), stable, "{api}");
    }
}

#[test]
fn every_field_is_as_in_kafkas_schemas() {
    for subject in SUBJECTS {
        let json = load(subject.schema);
        assert_eq!(ours(subject.schema), kafkas(&json), "{} (left: ours)", subject.schema.name);
    }
}

#[test]
fn error_codes_leave_no_gap() {
    let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.0).collect();
    assert_eq!(codes, (-1..=133).collect::<Vec<_>>());
    assert_eq!(ErrorCode(3).to_string(), "UNKNOWN_TOPIC_OR_PARTITION (3)");
    assert_eq!(ErrorCode(999).to_string(), "error 999");
    assert!(ErrorCode::NOT_LEADER_OR_FOLLOWER.is_retriable());
    assert!(!ErrorCode::INVALID_RECORD.is_retriable());
    assert!(!ErrorCode(999).is_retriable());
}

/// A message as lines of text: one for the whole, one a field.
fn ours(schema: &MessageSchema) -> Vec<String> {
    let role = match schema.role {
        Role::Request => "request",
        Role::Response => "response",
        Role::Header => "header",
        Role::Data => "data",
        Role::RecordKey => "coordinator-key",
        Role::RecordValue => "coordinator-value",
    };
    let mut lines = vec![format!(
        "{} {role} key {:?} versions {} flexible {}",
        schema.name, schema.key, schema.versions, schema.flexible
    )];
    our_fields(schema.body.fields, schema.name, &mut lines);
    lines
}

fn our_fields(fields: &[FieldSchema], path: &str, lines: &mut Vec<String>) {
    for field in fields {
        let path = format!("{path}.{}", field.name);
        let default = match field.default {
            SchemaDefault::Empty => "empty".to_owned(),
            SchemaDefault::Null => "null".to_owned(),
            SchemaDefault::Value(value) => value.to_string(),
        };
        let tag = field.tag.map(|(number, versions)| (i64::from(number), versions.to_string()));
        lines.push(line(
            &path,
            &type_name(&field.kind),
            [field.versions, field.nullable],
            tag,
            &default,
            [field.ignorable, field.never_flexible],
        ));
        if let Some(nested) = nested(&field.kind) {
            our_fields(nested, &path, lines);
        }
    }
}

fn nested(kind: &Kind) -> Option<&'static [FieldSchema]> {
    match kind {
        Kind::Array(element) => nested(element),
        Kind::Struct(schema) => Some(schema.fields),
        _ => None,
    }
}

fn type_name(kind: &Kind) -> String {
    match kind {
        Kind::Array(element) => format!("[]{}", type_name(element)),
        Kind::Struct(schema) => schema.name.to_owned(),
        plain => format!("{plain:?}").to_lowercase(),
    }
}

/// The same lines from a JSON schema.
fn kafkas(json: &Value) -> Vec<String> {
    let mut lines = vec![format!(
        "{} {} key {:?} versions {} flexible {}",
        text(&json["name"]),
        text(&json["type"]),
        json["apiKey"].as_i64(),
        versions(&json["validVersions"]),
        versions(&json["flexibleVersions"]),
    )];
    kafkas_fields(&json["fields"], &json["commonStructs"], text(&json["name"]), &mut lines);
    lines
}

fn kafkas_fields(fields: &Value, common: &Value, path: &str, lines: &mut Vec<String>) {
    for field in fields.as_array().unwrap() {
        let name = text(&field["name"]);
        let path = format!("{path}.{}{}", name[..1].to_uppercase(), &name[1..]);
        let kind = text(&field["type"]);
        let tag = field["tag"]
            .as_i64()
            .map(|number| (number, versions(&field["taggedVersions"]).to_string()));
        lines.push(line(
            &path,
            kind,
            [versions(&field["versions"]), versions(&field["nullableVersions"])],
            tag,
            &default(kind, &field["default"]),
            [field["ignorable"] == true, field["flexibleVersions"] == "none"],
        ));
        let element = kind.trim_start_matches("[]");
        let shared = || {
            let structs = common.as_array()?;
            Some(&structs.iter().find(|shared| shared["name"] == element)?["fields"])
        };
        if let Some(nested) = field.get("fields").or_else(shared) {
            kafkas_fields(nested, common, &path, lines);
        }
    }
}

fn line(
    path: &str,
    kind: &str,
    [versions, nullable]: [Versions; 2],
    tag: Option<(i64, String)>,
    default: &str,
    [ignorable, never_flexible]: [bool; 2],
) -> String {
    format!(
        "{path}: {kind} versions {versions} nullable {nullable} tag {tag:?} default {default} \
         ignorable {ignorable} never flexible {never_flexible}"
    )
}

/// A default in one form, whether the file has it as a number or a string, decimal or not.
fn default(kind: &str, json: &Value) -> String {
    let written = match json {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match written.as_str() {
        // The files do not say it, and Java's generator makes it so.
        _ if kind == "records" => "null".to_owned(),
        "" | "0" | "false" => "empty".to_owned(),
        "true" => "1".to_owned(),
        hex if hex.starts_with("0x") => i64::from_str_radix(&hex[2..], 16).unwrap().to_string(),
        plain => plain.to_owned(),
    }
}

fn text(json: &Value) -> &str {
    json.as_str().unwrap()
}

fn versions(json: &Value) -> Versions {
    let Some(text) = json.as_str().filter(|text| *text != "none") else { return Versions::NONE };
    if let Some(min) = text.strip_suffix('+') {
        return Versions::new(min.parse().unwrap(), i16::MAX);
    }
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    Versions::new(min.parse().unwrap(), max.parse().unwrap())
}

/// The JSON schema of a message.
fn load(schema: &MessageSchema) -> Value {
    let jar = match schema.role {
        Role::RecordKey | Role::RecordValue => "group-coordinator",
        _ => "kafka-clients",
    };
    let folder = weir_test_cache::kafka_schemas().unwrap_or_else(|error| panic!("{error}"));
    let path = folder.join(jar).join(format!("{}.json", schema.name));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask setup`", path.display()));
    serde_json::from_str(&without_comments(&text))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// JSON without the `//` comments that Kafka's files have.
fn without_comments(text: &str) -> String {
    let without = |line: &str| {
        let mut in_string = false;
        let mut before = ' ';
        for (at, letter) in line.char_indices() {
            match letter {
                '"' if before != '\\' => in_string = !in_string,
                '/' if before == '/' && !in_string => return line[..at - 1].to_owned(),
                _ => {}
            }
            before = letter;
        }
        line.to_owned()
    };
    text.lines().map(without).collect::<Vec<_>>().join("\n")
}
