//! What etcd's errors mean.

use std::time::Duration;

use tonic::{Code, Status};

use crate::store::{LeaseId, Revision, StoreError};

/// Why no connection to etcd is made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers.
    #[error("etcd at {endpoints} does not answer: {reason}; check meta.url, and that etcd runs")]
    Unreachable {
        /// Who was asked.
        endpoints: String,
        /// What happened last.
        reason: String,
    },
    /// It answers that we may not, or that we ask wrongly.
    #[error("etcd at {endpoints} can't be used: {reason}; check meta.url and meta.options")]
    Unusable {
        /// Who was asked.
        endpoints: String,
        /// What it says.
        reason: String,
    },
    /// It is too old.
    #[error("etcd has version {version}, but {}.{} or newer is needed", .min.0, .min.1)]
    TooOld {
        /// Its version.
        version: String,
        /// The oldest that will do.
        min: (u32, u32),
    },
}

/// A request that failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// Etcd, or something on the way to it, says why.
    Said(Box<etcd_client::Error>),
    /// Nobody has said anything for so long.
    NoAnswer(Duration),
    /// The answer is none.
    Answer(StoreError),
}

impl From<etcd_client::Error> for Failed {
    fn from(error: etcd_client::Error) -> Self {
        Self::Said(Box::new(error))
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Answer(error)
    }
}

impl Failed {
    pub(super) fn no_answer(after: Duration) -> Self {
        Self::NoAnswer(after)
    }

    fn status(&self) -> Option<&Status> {
        match self {
            Self::Said(error) => match &**error {
                etcd_client::Error::GRpcStatus(status) => Some(status),
                _ => None,
            },
            _ => None,
        }
    }

    fn says(&self, text: &str) -> bool {
        self.status().is_some_and(|status| status.message().contains(text))
    }

    pub(super) fn reason(&self) -> String {
        match self {
            Self::Said(error) => match &**error {
                etcd_client::Error::GRpcStatus(status) => {
                    format!("etcd says {:?}: {}", status.code(), status.message())
                }
                other => other.to_string(),
            },
            Self::NoAnswer(after) => format!("etcd does not answer within {after:?}"),
            Self::Answer(error) => error.to_string(),
        }
    }

    /// Of a lease that is to be kept alive, the client says it in words of its own.
    fn is_lease_gone(&self) -> bool {
        let in_stream = match self {
            Self::Said(error) => match &**error {
                etcd_client::Error::LeaseKeepAliveError(text) => text.contains("lease not found"),
                _ => false,
            },
            _ => false,
        };
        in_stream || self.says("requested lease not found")
    }

    /// Whether trying again changes nothing: somebody has to change the configuration.
    pub(super) fn is_final(&self) -> bool {
        use etcd_client::Error::{InvalidArgs, InvalidUri};
        match (self, self.status()) {
            (_, Some(status)) => matches!(
                status.code(),
                Code::Unauthenticated
                    | Code::PermissionDenied
                    | Code::InvalidArgument
                    | Code::FailedPrecondition
                    | Code::Unimplemented
            ),
            (Self::Said(error), _) => matches!(**error, InvalidArgs(_) | InvalidUri(_)),
            _ => false,
        }
    }

    /// Whether another member, or the same a moment later, may do better.
    pub(super) fn may_be_repeated(&self) -> bool {
        match (self, self.status()) {
            (_, Some(status)) => matches!(
                status.code(),
                Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled
            ),
            (Self::Said(_), _) => !self.is_lease_gone(),
            (Self::NoAnswer(_), _) => true,
            (Self::Answer(_), _) => false,
        }
    }

    /// What a read that failed so is answered.
    pub(super) fn of_read(self) -> StoreError {
        if let Self::Answer(error) = self {
            return error;
        }
        if self.says("required revision has been compacted") {
            return StoreError::Compacted { oldest: Revision::NONE };
        }
        if self.says("required revision is a future revision") {
            return StoreError::FutureRevision { asked: Revision::NONE, newest: Revision::NONE };
        }
        if self.says("message length too large") || self.says("larger than max") {
            return StoreError::TooLarge { bytes: usize::MAX, max: super::ANSWER_BYTES_MAX };
        }
        StoreError::Unavailable { reason: self.reason() }
    }

    /// What a write that failed so is answered; `lease` is the one that it names.
    pub(super) fn of_write(self, lease: Option<LeaseId>) -> StoreError {
        if let Self::Answer(error) = self {
            return error;
        }
        if let (true, Some(lease)) = (self.is_lease_gone(), lease) {
            return StoreError::LeaseNotFound { lease };
        }
        if self.says("database space exceeded") {
            return StoreError::Full {
                place:
                    "etcd (its quota is used up: compact and defragment it, then disarm the alarm)"
                        .to_owned(),
            };
        }
        let reason = self.reason();
        match self.status() {
            Some(status) if surely_not_applied(status) => StoreError::Unavailable { reason },
            _ => StoreError::Unclear { reason },
        }
    }
}

/// Etcd says so before it proposes a write to its members. All else, such as a leader that was lost or a
/// time-out, may come after that.
fn surely_not_applied(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => status.message() == "etcdserver: no leader",
        Code::ResourceExhausted => status.message() == "etcdserver: too many requests",
        Code::Unauthenticated | Code::PermissionDenied | Code::InvalidArgument => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: Code, message: &str) -> Failed {
        etcd_client::Error::GRpcStatus(Status::new(code, message)).into()
    }

    #[test]
    fn a_write_is_surely_not_applied_only_if_etcd_says_so_before_it_proposes() {
        let unclear = |code, message| failed(code, message).of_write(None).is_unclear();
        for message in [
            "etcdserver: request timed out",
            "etcdserver: leader changed",
            "etcdserver: request timed out, possibly due to previous leader failure",
            "etcdserver: server stopped",
            "transport is closing",
        ] {
            assert!(unclear(Code::Unavailable, message), "{message}");
        }
        assert!(unclear(Code::Unknown, "h2 protocol error"));
        assert!(!unclear(Code::Unavailable, "etcdserver: no leader"));
        assert!(!unclear(Code::ResourceExhausted, "etcdserver: too many requests"));
        assert!(Failed::no_answer(Duration::from_secs(3)).of_write(None).is_unclear());
    }

    #[test]
    fn what_etcd_says_is_understood() {
        let full = failed(Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded");
        assert!(matches!(full.of_write(None), StoreError::Full { .. }));
        let (gone, lease) = ("etcdserver: requested lease not found", LeaseId(7));
        let error = failed(Code::NotFound, gone).of_write(Some(lease));
        assert_eq!(error, StoreError::LeaseNotFound { lease });
        let compacted = "etcdserver: mvcc: required revision has been compacted";
        let error = failed(Code::OutOfRange, compacted).of_read();
        assert!(matches!(error, StoreError::Compacted { .. }));
        let future = "etcdserver: mvcc: required revision is a future revision";
        let error = failed(Code::OutOfRange, future).of_read();
        assert!(matches!(error, StoreError::FutureRevision { .. }));
    }
}
