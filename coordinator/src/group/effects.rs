//! What comes out of a group: answers to requests that waited, and states to store.

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    error::Error,
    names::{Generation, InstanceId, MemberId, Token},
};

/// What an event leads to. The caller sends the answers and appends what is to be stored, in order;
/// when that is durable it hands back each [`Then`].
#[derive(Default, Debug)]
pub(crate) struct Effects {
    /// Answers to waiting requests.
    pub(crate) answers: Vec<Answer>,
    /// States for the log.
    pub(crate) stores: Vec<Store>,
}

impl Effects {
    pub(super) fn join(&mut self, token: Token, answer: JoinAnswer) {
        self.answers.push(Answer::Join(token, answer));
    }

    pub(super) fn sync(&mut self, token: Token, answer: Result<Synced, Error>) {
        self.answers.push(Answer::Sync(token, answer));
    }
}

/// An answer to a request that waited under a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// To a join.
    Join(Token, JoinAnswer),
    /// To a sync.
    Sync(Token, Result<Synced, Error>),
}

/// A join is answered with a generation or refused.
pub(crate) type JoinAnswer = Result<Joined, JoinRefused>;

/// A member's place in the new generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Joined {
    /// The generation.
    pub(crate) generation: Generation,
    /// What kind of group it is.
    pub(crate) protocol_type: Option<ByteString>,
    /// The protocol that was voted for.
    pub(crate) protocol: Option<ByteString>,
    /// Who assigns.
    pub(crate) leader: MemberId,
    /// Who is answered.
    pub(crate) member: MemberId,
    /// All members, if the one that is answered is to know them.
    pub(crate) members: Vec<JoinedMember>,
    /// Whether the leader is to leave the assignment as it is (KIP-814).
    pub(crate) skip_assignment: bool,
}

/// A member as its leader sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct JoinedMember {
    /// Its id.
    pub(crate) member: MemberId,
    /// Its instance id.
    pub(crate) instance: Option<InstanceId>,
    /// What it told under the chosen protocol.
    pub(crate) metadata: Bytes,
}

/// A join that is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct JoinRefused {
    /// Why.
    pub(crate) error: Error,
    /// The member id that the answer carries; `None`: an empty one.
    pub(crate) member: Option<MemberId>,
}

/// A member's assignment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Synced {
    /// What kind of group it is.
    pub(crate) protocol_type: Option<ByteString>,
    /// The protocol that was voted for.
    pub(crate) protocol: Option<ByteString>,
    /// What the leader gave the member, untouched.
    pub(crate) assignment: Bytes,
}

/// A state for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Store {
    /// The record's value.
    pub(crate) value: Bytes,
    /// What to do when it is durable.
    pub(crate) then: Then,
}

/// What waits for a state to be durable. To be handed to [`Group::stored`](super::Group::stored).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    /// Nothing.
    Nothing,
    /// The assignment of this generation goes out.
    Assign(Generation),
    /// A static member came back to a stable group, and its join is answered.
    Rejoined {
        /// Its new id.
        member: MemberId,
        /// Its join.
        token: Token,
        /// Who led before: what clients are told that can't skip an assignment.
        leader_before: Option<MemberId>,
        /// Whether the client can skip an assignment.
        can_skip: bool,
    },
}
