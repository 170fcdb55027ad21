//! DescribeConfigs (key 32): settings of topics, brokers and groups.

use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Resources and settings to describe.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 32, versions = "1-4", flexible = "4+")]
pub struct DescribeConfigsRequest {
    /// The resources.
    pub resources: Vec<DescribeConfigsResource>,
    /// Whether to say where values could come from.
    #[kafka(versions = "1+")]
    pub include_synonyms: bool,
    /// Whether to say what settings do.
    #[kafka(versions = "3+")]
    pub include_documentation: bool,
}

/// A resource and the settings wanted of it.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct DescribeConfigsResource {
    /// 2: topic; 4: broker; 8: broker logger; 16: client metrics; 32: group.
    pub resource_type: i8,
    /// The topic, broker id or group.
    pub resource_name: ByteString,
    /// Names of settings; null: all.
    #[kafka(nullable = "0+")]
    pub configuration_keys: Option<Vec<ByteString>>,
}

/// The settings.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 32, versions = "1-4", flexible = "4+")]
pub struct DescribeConfigsResponse {
    /// How long the client is asked to pause.
    pub throttle_time_ms: i32,
    /// The resources.
    pub results: Vec<DescribeConfigsResult>,
}

/// A resource's settings.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct DescribeConfigsResult {
    /// What went wrong.
    pub error_code: ErrorCode,
    /// What went wrong, in words.
    #[kafka(nullable = "0+")]
    pub error_message: Option<ByteString>,
    /// 2: topic; 4: broker; 8: broker logger; 16: client metrics; 32: group.
    pub resource_type: i8,
    /// The topic, broker id or group.
    pub resource_name: ByteString,
    /// The settings.
    pub configs: Vec<DescribeConfigsResourceResult>,
}

/// A setting.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct DescribeConfigsResourceResult {
    /// The setting.
    pub name: ByteString,
    /// The value; null if it is a secret.
    #[kafka(nullable = "0+")]
    pub value: Option<ByteString>,
    /// Whether the setting can't be changed.
    pub read_only: bool,
    /// Where the value comes from: 1 topic, 4 static broker, 5 default, ...
    #[kafka(versions = "1+", default = -1, ignorable)]
    pub config_source: i8,
    /// Whether the value is a secret; then it is null.
    pub is_sensitive: bool,
    /// Where the value could come from, the one in force first.
    #[kafka(versions = "1+", ignorable)]
    pub synonyms: Vec<DescribeConfigsSynonym>,
    /// The value's type: 1 flag, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, ...
    #[kafka(versions = "3+", ignorable)]
    pub config_type: i8,
    /// What the setting does.
    #[kafka(versions = "3+", nullable = "0+", ignorable)]
    pub documentation: Option<ByteString>,
}

/// A place that the setting's value could come from.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "1+")]
pub struct DescribeConfigsSynonym {
    /// The setting there.
    pub name: ByteString,
    /// The value there; null if it is a secret.
    #[kafka(nullable = "0+")]
    pub value: Option<ByteString>,
    /// Which place.
    pub source: i8,
}
