//! The APIs: which there are, which of their versions can be decoded and which are offered.
//!
//! The two differ. Produce is offered from 0 although nobody can decode 0 to 2: older librdkafka
//! turns compression off if the minimum is above 0 (KAFKA-18659). It is offered up to 11 although
//! 13 can be decoded: 12 and above are for servers with transactions (KIP-890). InitProducerId 6 is
//! marked unstable in Kafka 4.3 and so is not offered either. A request is taken only in a version
//! that is both offered and decodable.

use crate::Message;
use crate::codec::{DecodeError, Decoder, EncodeError, Encoder, MessageSchema, Versions};
use crate::messages::*;

/// Defines the APIs from one table: `key Name (Request, Response) offered`.
macro_rules! apis {
    ($($key:literal $name:ident ($request:ident, $response:ident) $min:literal-$max:literal,)*) => {
        /// An API that is spoken here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $(
                #[doc = concat!("[`", stringify!($request), "`]")]
                $name = $key,
            )*
        }

        impl ApiKey {
            /// Every API, by its key.
            pub const ALL: &'static [ApiKey] = &[$(ApiKey::$name),*];

            /// The API of a key, if it is spoken here.
            pub const fn from_key(key: i16) -> Option<ApiKey> {
                match key {
                    $($key => Some(ApiKey::$name),)*
                    _ => None,
                }
            }

            /// The name, as in `Produce`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ApiKey::$name => stringify!($name),)*
                }
            }

            /// Versions that ApiVersions offers to clients.
            pub const fn advertised(self) -> Versions {
                match self {
                    $(ApiKey::$name => Versions::new($min, $max),)*
                }
            }

            /// The request's schema.
            pub const fn request(self) -> &'static MessageSchema {
                match self {
                    $(ApiKey::$name => $request::MESSAGE,)*
                }
            }

            /// The response's schema.
            pub const fn response(self) -> &'static MessageSchema {
                match self {
                    $(ApiKey::$name => $response::MESSAGE,)*
                }
            }
        }

        /// A request of any API.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "each variant holds the message of its name")]
        pub enum RequestBody {
            $($name($request),)*
        }

        impl RequestBody {
            /// Which API it is of.
            pub fn api(&self) -> ApiKey {
                match self {
                    $(RequestBody::$name(_) => ApiKey::$name,)*
                }
            }

            /// Reads a request of `api`.
            pub fn decode(
                api: ApiKey,
                d: &mut Decoder,
                version: i16,
            ) -> Result<RequestBody, DecodeError> {
                Ok(match api {
                    $(ApiKey::$name => RequestBody::$name(<$request>::decode(d, version)?),)*
                })
            }

            /// Writes the request.
            pub fn encode(&self, e: &mut Encoder, version: i16) -> Result<(), EncodeError> {
                match self {
                    $(RequestBody::$name(body) => body.encode(e, version),)*
                }
            }
        }

        $(
            impl From<$request> for RequestBody {
                fn from(body: $request) -> RequestBody {
                    RequestBody::$name(body)
                }
            }

            impl From<$response> for ResponseBody {
                fn from(body: $response) -> ResponseBody {
                    ResponseBody::$name(body)
                }
            }
        )*

        /// A response of any API.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "each variant holds the message of its name")]
        pub enum ResponseBody {
            $($name($response),)*
        }

        impl ResponseBody {
            /// Which API it is of.
            pub fn api(&self) -> ApiKey {
                match self {
                    $(ResponseBody::$name(_) => ApiKey::$name,)*
                }
            }

            /// Reads a response of `api`.
            pub fn decode(
                api: ApiKey,
                d: &mut Decoder,
                version: i16,
            ) -> Result<ResponseBody, DecodeError> {
                Ok(match api {
                    $(ApiKey::$name => ResponseBody::$name(<$response>::decode(d, version)?),)*
                })
            }

            /// Writes the response.
            pub fn encode(&self, e: &mut Encoder, version: i16) -> Result<(), EncodeError> {
                match self {
                    $(ResponseBody::$name(body) => body.encode(e, version),)*
                }
            }
        }
    };
}

apis! {
    0 Produce (ProduceRequest, ProduceResponse) 0-11,
    1 Fetch (FetchRequest, FetchResponse) 4-18,
    2 ListOffsets (ListOffsetsRequest, ListOffsetsResponse) 1-11,
    3 Metadata (MetadataRequest, MetadataResponse) 0-13,
    8 OffsetCommit (OffsetCommitRequest, OffsetCommitResponse) 2-10,
    9 OffsetFetch (OffsetFetchRequest, OffsetFetchResponse) 1-10,
    10 FindCoordinator (FindCoordinatorRequest, FindCoordinatorResponse) 0-6,
    11 JoinGroup (JoinGroupRequest, JoinGroupResponse) 0-9,
    12 Heartbeat (HeartbeatRequest, HeartbeatResponse) 0-4,
    13 LeaveGroup (LeaveGroupRequest, LeaveGroupResponse) 0-5,
    14 SyncGroup (SyncGroupRequest, SyncGroupResponse) 0-5,
    15 DescribeGroups (DescribeGroupsRequest, DescribeGroupsResponse) 0-6,
    16 ListGroups (ListGroupsRequest, ListGroupsResponse) 0-5,
    17 SaslHandshake (SaslHandshakeRequest, SaslHandshakeResponse) 0-1,
    18 ApiVersions (ApiVersionsRequest, ApiVersionsResponse) 0-4,
    19 CreateTopics (CreateTopicsRequest, CreateTopicsResponse) 2-7,
    20 DeleteTopics (DeleteTopicsRequest, DeleteTopicsResponse) 1-6,
    21 DeleteRecords (DeleteRecordsRequest, DeleteRecordsResponse) 0-2,
    22 InitProducerId (InitProducerIdRequest, InitProducerIdResponse) 0-5,
    23 OffsetForLeaderEpoch (OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse) 2-4,
    32 DescribeConfigs (DescribeConfigsRequest, DescribeConfigsResponse) 1-4,
    36 SaslAuthenticate (SaslAuthenticateRequest, SaslAuthenticateResponse) 0-2,
    37 CreatePartitions (CreatePartitionsRequest, CreatePartitionsResponse) 0-3,
    42 DeleteGroups (DeleteGroupsRequest, DeleteGroupsResponse) 0-2,
    60 DescribeCluster (DescribeClusterRequest, DescribeClusterResponse) 0-2,
}

impl ApiKey {
    /// Versions of its messages that can be decoded.
    pub const fn decodable(self) -> Versions {
        self.request().versions
    }

    /// Whether a request of `version` is taken: it is offered and can be decoded.
    pub const fn accepts(self, version: i16) -> bool {
        self.advertised().contains(version) && self.decodable().contains(version)
    }

    /// The version of the header in front of a request of `version`.
    pub const fn request_header_version(self, version: i16) -> i16 {
        if self.request().flexible.contains(version) { 2 } else { 1 }
    }

    /// The version of the header in front of a response of `version`. For ApiVersions it is 0 for
    /// ever, so that clients of any age can read the answer (KIP-511).
    pub const fn response_header_version(self, version: i16) -> i16 {
        if matches!(self, ApiKey::ApiVersions) || !self.response().flexible.contains(version) {
            0
        } else {
            1
        }
    }
}

impl std::fmt::Display for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
