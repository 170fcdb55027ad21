//! ApiVersions (key 18): what a broker speaks. The first request on a connection.
//!
//! The response's header is version 0 in all versions, and an unknown version is answered in 0.

use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Who the client is.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 18, versions = "0-4", flexible = "3+")]
pub struct ApiVersionsRequest {
    /// The client library.
    #[kafka(versions = "3+", ignorable)]
    pub client_software_name: ByteString,
    /// Its version.
    #[kafka(versions = "3+", ignorable)]
    pub client_software_version: ByteString,
}

/// The APIs, and the features of the cluster.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 18, versions = "0-4", flexible = "3+")]
pub struct ApiVersionsResponse {
    /// What went wrong.
    pub error_code: ErrorCode,
    /// The APIs.
    pub api_keys: Vec<ApiVersion>,
    /// How long the client is asked to pause.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// What the broker knows.
    #[kafka(versions = "3+", tag = 0, ignorable)]
    pub supported_features: Vec<SupportedFeatureKey>,
    /// Rises with every change of them; -1: unknown.
    #[kafka(versions = "3+", default = -1, tag = 1, ignorable)]
    pub finalized_features_epoch: i64,
    /// What is switched on.
    #[kafka(versions = "3+", tag = 2, ignorable)]
    pub finalized_features: Vec<FinalizedFeatureKey>,
    /// Of a controller on its way from ZooKeeper.
    #[kafka(versions = "3+", tag = 3, ignorable)]
    pub zk_migration_ready: bool,
}

/// An API and the versions of it that are served.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct ApiVersion {
    /// The API's key.
    pub api_key: i16,
    /// The lowest.
    pub min_version: i16,
    /// The highest.
    pub max_version: i16,
}

/// A feature that the broker knows (KIP-584).
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "3+")]
pub struct SupportedFeatureKey {
    /// The feature.
    pub name: ByteString,
    /// The lowest.
    pub min_version: i16,
    /// The highest.
    pub max_version: i16,
}

/// A feature that the cluster has switched on (KIP-584).
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "3+")]
pub struct FinalizedFeatureKey {
    /// The feature.
    pub name: ByteString,
    /// The highest.
    pub max_version_level: i16,
    /// The lowest.
    pub min_version_level: i16,
}
