//! Why a request to a group is refused. Each stands for one of Kafka's error codes.

/// Why a request to a group is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The member is not in the group: it must join anew.
    #[error("the member is not in the group")]
    UnknownMember,
    /// The first join gave no member id; the answer carries one to join with (KIP-394).
    #[error("join again with the member id given")]
    MemberIdRequired,
    /// Another process has taken over the instance id (KIP-345).
    #[error("the instance id belongs to another member by now")]
    FencedInstance,
    /// The request is of another generation than the group's.
    #[error("the generation is not the group's current one")]
    IllegalGeneration,
    /// The group is being rebalanced: join again.
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    /// The member shares no protocol, or not the protocol type, with the others.
    #[error("the member shares no protocol with the group")]
    InconsistentProtocol,
    /// The group, or the shard, takes no more members.
    #[error("the group has reached its largest size")]
    MaxSizeReached,
    /// The session timeout lies outside what the settings allow.
    #[error("the session timeout is out of bounds")]
    InvalidSessionTimeout,
    /// This group id can't be used for that.
    #[error("the group id is not valid")]
    InvalidGroupId,
    /// There is no such group.
    #[error("there is no such group")]
    GroupNotFound,
    /// The group still has members.
    #[error("the group still has members")]
    NonEmptyGroup,
    /// The members' metadata is larger than a record may be.
    #[error("the members' metadata does not fit into a record")]
    TooLarge,
    /// The request itself makes no sense.
    #[error("the request is not valid")]
    InvalidRequest,
    /// The shard is reading its log: try again soon.
    #[error("the coordinator is loading the group")]
    Loading,
    /// The shard lost its log, or the process is ending: find the coordinator again.
    #[error("the coordinator does not hold the group any more")]
    NotCoordinator,
    /// The internal topic is not there yet, or can't be reached.
    #[error("the coordinator is not available yet")]
    NotAvailable,
}
