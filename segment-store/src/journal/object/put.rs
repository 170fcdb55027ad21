//! Creating one slot, whatever the store answers.

use weir_ids::Slot;
use weir_runtime::planted::{Bug, is_planted};

use super::{ObjectJournal, corrupt, name, unavailable};
use crate::{
    ByteRange, ObjectName, Part, StoreError,
    journal::Error,
    object::{self, Builder, HEADER_BYTES, Header},
};

/// What is to be created.
pub(super) struct Body {
    header: Header,
    parts: Vec<Part>,
}

/// What became of it.
pub(super) enum Landing {
    /// It is there.
    Landed,
    /// Something else is there, which begins like this.
    Taken(Header),
}

impl Body {
    pub(super) fn new(body: object::Body) -> Self {
        Self { header: body.header, parts: body.parts }
    }

    /// A body without records.
    pub(super) fn empty(header: &Header) -> Self {
        Self::new(Builder::new(header).finish())
    }

    fn name(&self) -> ObjectName {
        name(self.header.session, Slot(self.header.number))
    }
}

impl ObjectJournal {
    /// Creates `body`, again and again, at most `attempts` times if so many are given. `failing` hears
    /// how often it has failed up to now.
    ///
    /// # Errors
    /// [`Error::Unavailable`] after too many attempts: whether it is there is not known then.
    pub(super) async fn put(
        &self,
        body: &Body,
        attempts: Option<u32>,
        failing: impl Fn(Failure<'_>),
    ) -> Result<Landing, Error> {
        let mut failures = 0;
        loop {
            let error = match self.create(body).await {
                Ok(()) => return Ok(Landing::Landed),
                Err(StoreError::Exists(_)) if is_planted(Bug::ConflictTakenForSuccess) => {
                    return Ok(Landing::Landed);
                }
                Err(StoreError::Exists(_)) if is_planted(Bug::ConflictTakenForFence) => {
                    return Ok(Landing::Taken(Header { kind: object::Kind::Fence, ..body.header }));
                }
                Err(StoreError::Exists(_)) => match self.read_back(body).await? {
                    ReadBack::Is(landing) => return Ok(landing),
                    ReadBack::Unclear(error) => error,
                },
                Err(error) => error,
            };
            failures += 1;
            failing(Failure { failures, error: &error });
            if attempts.is_some_and(|most| failures >= most) {
                return Err(unavailable(&error));
            }
            self.retry.pause(failures).await;
        }
    }

    /// Creates `body` once, or twice at the same time if the first takes unusually long. If one of them finds
    /// something there, the other may have made it.
    async fn create(&self, body: &Body) -> Result<(), StoreError> {
        let is_known = |done: &_| matches!(done, Ok(()) | Err(StoreError::Exists(_)));
        self.hedges.send(|| self.create_once(body), is_known).await
    }

    /// One attempt to create `body`.
    pub(super) async fn create_once(&self, body: &Body) -> Result<(), StoreError> {
        self.store.create(body.name(), &body.parts).await
    }

    /// Finds out what is in the place of `body`.
    async fn read_back(&self, body: &Body) -> Result<ReadBack, Error> {
        let name = body.name();
        let range = ByteRange { at: 0, len: HEADER_BYTES as u32 };
        let start = match self.store.get_range(name, range).await {
            Ok(start) => start,
            // Nothing is there, or nobody says what: the create is to be repeated.
            Err(error) => return Ok(ReadBack::Unclear(error)),
        };
        let header = match Header::decode(&start) {
            Ok(header) => header,
            // Perhaps the transport's fault; if not, it is found again.
            Err(error) => {
                let what = format!("its header was read back: {error}");
                return Ok(ReadBack::Unclear(StoreError::Failed { name: name.to_string(), what }));
            }
        };
        let Header { cluster, session, number, .. } = header;
        let own = &body.header;
        if (cluster, session, number) != (own.cluster, own.session, own.number) {
            let what = format!(
                "it is slot {number} of session {session} of cluster {cluster}: two clusters use one \
                 place in the store; give each its own"
            );
            return Err(corrupt(name, what));
        }
        Ok(ReadBack::Is(if header == *own { Landing::Landed } else { Landing::Taken(header) }))
    }
}

/// An attempt that failed.
pub(super) struct Failure<'a> {
    /// How many have.
    pub(super) failures: u32,
    /// The last one's error.
    pub(super) error: &'a StoreError,
}

enum ReadBack {
    Is(Landing),
    Unclear(StoreError),
}
