//! The error codes of Kafka 4.3.
//!
//! A number on the wire, so a code that is newer than this list passes through unharmed. Which codes
//! a client retries is decided by its library; `retriable` says what Apache Kafka's does.

/// What a response says about one part of a request. `0` is success.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub i16);

/// Defines the codes, and the tables of their names and of those worth a retry.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:literal $name:ident $($retriable:ident)?,)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: ErrorCode = ErrorCode($code);)*

            /// Every code of Kafka 4.3, in rising order.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name),*];

            /// The name in Kafka's source; `None` for a code that is not in it.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// Whether the same request may succeed later, perhaps elsewhere.
            pub const fn is_retriable(self) -> bool {
                match self.0 {
                    $($code => $crate::error_code::codes!(@ $($retriable)?),)*
                    _ => false,
                }
            }
        }
    };
    (@ retriable) => { true };
    (@) => { false };
}
use codes;

impl ErrorCode {
    /// Whether it is success.
    pub const fn is_none(self) -> bool {
        self.0 == ErrorCode::NONE.0
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "error {}", self.0),
        }
    }
}

impl std::fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

codes! {
    /// Something failed that has no code of its own.
    -1 UNKNOWN_SERVER_ERROR,
    /// No error.
    0 NONE,
    /// The offset lies outside of what the partition holds.
    1 OFFSET_OUT_OF_RANGE,
    /// A batch fails its checksum or its shape is wrong.
    2 CORRUPT_MESSAGE retriable,
    /// There is no such topic or partition here.
    3 UNKNOWN_TOPIC_OR_PARTITION retriable,
    /// The fetch size makes no sense.
    4 INVALID_FETCH_SIZE,
    /// The partition is between two leaders.
    5 LEADER_NOT_AVAILABLE retriable,
    /// This server does not lead the partition; the client should ask for the leader again.
    6 NOT_LEADER_OR_FOLLOWER retriable,
    /// It took longer than the request allowed.
    7 REQUEST_TIMED_OUT retriable,
    /// The broker is not there.
    8 BROKER_NOT_AVAILABLE,
    /// The replica is not there.
    9 REPLICA_NOT_AVAILABLE retriable,
    /// A batch is larger than the topic's `max.message.bytes`.
    10 MESSAGE_TOO_LARGE,
    /// A newer controller is in charge.
    11 STALE_CONTROLLER_EPOCH,
    /// The text committed with an offset is too long.
    12 OFFSET_METADATA_TOO_LARGE,
    /// The connection broke before the answer came. Clients make it up; servers never send it.
    13 NETWORK_EXCEPTION retriable,
    /// The coordinator is still loading the group or transactional id.
    14 COORDINATOR_LOAD_IN_PROGRESS retriable,
    /// There is no coordinator at the moment.
    15 COORDINATOR_NOT_AVAILABLE retriable,
    /// Another server coordinates this group or transactional id.
    16 NOT_COORDINATOR retriable,
    /// The topic's name is not legal.
    17 INVALID_TOPIC_EXCEPTION,
    /// A batch is larger than a segment.
    18 RECORD_LIST_TOO_LARGE,
    /// Too few replicas are in sync to take the write.
    19 NOT_ENOUGH_REPLICAS retriable,
    /// Written, but by fewer replicas than required.
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND retriable,
    /// `acks` is neither -1, 0 nor 1.
    21 INVALID_REQUIRED_ACKS,
    /// The group has moved on to another generation.
    22 ILLEGAL_GENERATION,
    /// The member shares no assignment protocol with its group.
    23 INCONSISTENT_GROUP_PROTOCOL,
    /// The group's id is not legal.
    24 INVALID_GROUP_ID,
    /// The group has no such member.
    25 UNKNOWN_MEMBER_ID,
    /// The session timeout is outside of the bounds.
    26 INVALID_SESSION_TIMEOUT,
    /// The group rebalances: the member must join again.
    27 REBALANCE_IN_PROGRESS,
    /// What is committed for an offset is too large.
    28 INVALID_COMMIT_OFFSET_SIZE,
    /// Access to the topic is denied.
    29 TOPIC_AUTHORIZATION_FAILED,
    /// Access to the group is denied.
    30 GROUP_AUTHORIZATION_FAILED,
    /// Access to the cluster is denied.
    31 CLUSTER_AUTHORIZATION_FAILED,
    /// A record's timestamp is outside of the topic's bounds.
    32 INVALID_TIMESTAMP,
    /// The SASL mechanism is not on offer.
    33 UNSUPPORTED_SASL_MECHANISM,
    /// The request does not fit the state of the SASL exchange.
    34 ILLEGAL_SASL_STATE,
    /// The API or its version is not served.
    35 UNSUPPORTED_VERSION,
    /// A topic of this name exists.
    36 TOPIC_ALREADY_EXISTS,
    /// The number of partitions makes no sense.
    37 INVALID_PARTITIONS,
    /// The replication factor makes no sense.
    38 INVALID_REPLICATION_FACTOR,
    /// The assignment of replicas makes no sense.
    39 INVALID_REPLICA_ASSIGNMENT,
    /// A setting is unknown or its value not legal.
    40 INVALID_CONFIG,
    /// Another server is the controller.
    41 NOT_CONTROLLER retriable,
    /// The request contradicts itself or its API.
    42 INVALID_REQUEST,
    /// The log's message format can't serve the request.
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT,
    /// A policy of the cluster forbids it.
    44 POLICY_VIOLATION,
    /// A producer's sequence number leaves a gap.
    45 OUT_OF_ORDER_SEQUENCE_NUMBER,
    /// A producer's sequence number was seen before, and its batch is forgotten.
    46 DUPLICATE_SEQUENCE_NUMBER,
    /// The producer's epoch is older than one seen before.
    47 INVALID_PRODUCER_EPOCH,
    /// The transaction is in no state for this.
    48 INVALID_TXN_STATE,
    /// The producer id does not belong to the transactional id.
    49 INVALID_PRODUCER_ID_MAPPING,
    /// The transaction timeout is longer than allowed.
    50 INVALID_TRANSACTION_TIMEOUT,
    /// Another operation on the transaction is under way.
    51 CONCURRENT_TRANSACTIONS retriable,
    /// A newer transaction coordinator is in charge.
    52 TRANSACTION_COORDINATOR_FENCED,
    /// Access to the transactional id is denied.
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    /// The server has no security switched on.
    54 SECURITY_DISABLED,
    /// Not tried, because another part of the request failed.
    55 OPERATION_NOT_ATTEMPTED,
    /// The store failed.
    56 KAFKA_STORAGE_ERROR retriable,
    /// There is no such log directory.
    57 LOG_DIR_NOT_FOUND,
    /// The credentials are wrong.
    58 SASL_AUTHENTICATION_FAILED,
    /// Nothing is known of the producer any more.
    59 UNKNOWN_PRODUCER_ID,
    /// The partition is being moved.
    60 REASSIGNMENT_IN_PROGRESS,
    /// Delegation tokens are switched off.
    61 DELEGATION_TOKEN_AUTH_DISABLED,
    /// There is no such delegation token.
    62 DELEGATION_TOKEN_NOT_FOUND,
    /// The delegation token belongs to somebody else.
    63 DELEGATION_TOKEN_OWNER_MISMATCH,
    /// Delegation tokens are not handed out over a connection like this.
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
    /// Access to the delegation token is denied.
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED,
    /// The delegation token has expired.
    66 DELEGATION_TOKEN_EXPIRED,
    /// The kind of principal is not known.
    67 INVALID_PRINCIPAL_TYPE,
    /// The group has members.
    68 NON_EMPTY_GROUP,
    /// There is no such group.
    69 GROUP_ID_NOT_FOUND,
    /// There is no such fetch session.
    70 FETCH_SESSION_ID_NOT_FOUND retriable,
    /// The fetch session has moved on to another epoch.
    71 INVALID_FETCH_SESSION_EPOCH retriable,
    /// The leader has no listener of the name that was asked through.
    72 LISTENER_NOT_FOUND retriable,
    /// Deleting topics is switched off.
    73 TOPIC_DELETION_DISABLED,
    /// The partition has a newer leader epoch than the request.
    74 FENCED_LEADER_EPOCH retriable,
    /// The request has a newer leader epoch than the server has heard of.
    75 UNKNOWN_LEADER_EPOCH retriable,
    /// The client's version does not know the batch's compression.
    76 UNSUPPORTED_COMPRESSION_TYPE,
    /// The broker has registered anew.
    77 STALE_BROKER_EPOCH,
    /// The leader does not know yet how far its log is committed.
    78 OFFSET_NOT_AVAILABLE retriable,
    /// The member must join again, with the id in this answer.
    79 MEMBER_ID_REQUIRED,
    /// The preferred leader is not there.
    80 PREFERRED_LEADER_NOT_AVAILABLE retriable,
    /// The group is full.
    81 GROUP_MAX_SIZE_REACHED,
    /// Another member has joined under the same instance id.
    82 FENCED_INSTANCE_ID,
    /// No replica may lead.
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE retriable,
    /// The leader is already as wanted.
    84 ELECTION_NOT_NEEDED retriable,
    /// No partition is being moved.
    85 NO_REASSIGNMENT_IN_PROGRESS,
    /// The group still subscribes to the topic.
    86 GROUP_SUBSCRIBED_TO_TOPIC,
    /// A record is not legal for its topic.
    87 INVALID_RECORD,
    /// The offsets belong to transactions that are not decided yet.
    88 UNSTABLE_OFFSET_COMMIT retriable,
    /// A quota is used up.
    89 THROTTLING_QUOTA_EXCEEDED retriable,
    /// A newer producer has taken over the transactional id.
    90 PRODUCER_FENCED,
    /// There is no such resource.
    91 RESOURCE_NOT_FOUND,
    /// A resource is named twice.
    92 DUPLICATE_RESOURCE,
    /// The new credential is too weak.
    93 UNACCEPTABLE_CREDENTIAL,
    /// A server is not among the voters that it should be among.
    94 INCONSISTENT_VOTER_SET,
    /// The feature can't go to that version.
    95 INVALID_UPDATE_VERSION,
    /// The feature's new version could not be recorded.
    96 FEATURE_UPDATE_FAILED,
    /// The forwarded principal can't be read.
    97 PRINCIPAL_DESERIALIZATION_FAILURE,
    /// There is no such snapshot.
    98 SNAPSHOT_NOT_FOUND,
    /// The position lies outside of the snapshot.
    99 POSITION_OUT_OF_RANGE,
    /// There is no topic of this id.
    100 UNKNOWN_TOPIC_ID retriable,
    /// A broker of this id is registered.
    101 DUPLICATE_BROKER_REGISTRATION,
    /// No broker of this id is registered.
    102 BROKER_ID_NOT_REGISTERED,
    /// The topic's id and the log's differ.
    103 INCONSISTENT_TOPIC_ID retriable,
    /// The request names another cluster.
    104 INCONSISTENT_CLUSTER_ID,
    /// There is no such transactional id.
    105 TRANSACTIONAL_ID_NOT_FOUND,
    /// The fetch session knows the topic by another id.
    106 FETCH_SESSION_TOPIC_ID_ERROR retriable,
    /// A replica may not join the in-sync set.
    107 INELIGIBLE_REPLICA,
    /// It is done, and the partition has a new leader.
    108 NEW_LEADER_ELECTED,
    /// The offset's data is in the remote tier only.
    109 OFFSET_MOVED_TO_TIERED_STORAGE,
    /// The group fenced the member's epoch: it must give up its partitions and join again.
    110 FENCED_MEMBER_EPOCH,
    /// The instance id is still held by another member.
    111 UNRELEASED_INSTANCE_ID,
    /// The group's assignor is not known.
    112 UNSUPPORTED_ASSIGNOR,
    /// The member's epoch is old: it must learn its new one first.
    113 STALE_MEMBER_EPOCH,
    /// The request came to the wrong kind of endpoint.
    114 MISMATCHED_ENDPOINT_TYPE,
    /// This kind of endpoint is not served.
    115 UNSUPPORTED_ENDPOINT_TYPE,
    /// There is no such controller.
    116 UNKNOWN_CONTROLLER_ID,
    /// The telemetry subscription is unknown or old.
    117 UNKNOWN_SUBSCRIPTION_ID,
    /// The telemetry is too large.
    118 TELEMETRY_TOO_LARGE,
    /// The registration is not legal.
    119 INVALID_REGISTRATION,
    /// The transaction failed and can be aborted; the transactional id stays usable.
    120 TRANSACTION_ABORTABLE,
    /// A shared record is in no state for this.
    121 INVALID_RECORD_STATE,
    /// There is no such share session.
    122 SHARE_SESSION_NOT_FOUND retriable,
    /// The share session has moved on to another epoch.
    123 INVALID_SHARE_SESSION_EPOCH retriable,
    /// The share group's state has a newer epoch.
    124 FENCED_STATE_EPOCH,
    /// The voter's key is another one.
    125 INVALID_VOTER_KEY,
    /// The server is a voter already.
    126 DUPLICATE_VOTER,
    /// The server is no voter.
    127 VOTER_NOT_FOUND,
    /// The regular expression is not legal.
    128 INVALID_REGULAR_EXPRESSION,
    /// The client's view is too old: it must start from its bootstrap servers again.
    129 REBOOTSTRAP_REQUIRED,
    /// The streams topology is not legal.
    130 STREAMS_INVALID_TOPOLOGY,
    /// The streams topology's epoch is not legal.
    131 STREAMS_INVALID_TOPOLOGY_EPOCH,
    /// The streams topology's epoch is old.
    132 STREAMS_TOPOLOGY_FENCED,
    /// There are as many share sessions as allowed.
    133 SHARE_SESSION_LIMIT_REACHED retriable,
}
