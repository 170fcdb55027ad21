//! Whether the store keeps the one promise that everything rests on: a create never replaces what is
//! there.

use weir_ids::{SessionId, Slot};

use super::{ObjectJournal, name, put::Body, unavailable};
use crate::{StoreError, journal::Error, object::Kind};

impl ObjectJournal {
    /// Creates the open marker of a session once more, as another process would that has mistaken the
    /// session for its own: the store must refuse that. One that takes no notice of the condition would
    /// let two writers replace one another's slots.
    pub(super) async fn check_condition(&self, session: SessionId) -> Result<(), Error> {
        let rival = Body::empty(&self.header(session, Slot::OPEN, Kind::OpenMarker));
        let mut failures = 0;
        loop {
            let error = match self.create_once(&rival).await {
                Err(StoreError::Exists(_)) => return Ok(()),
                Ok(()) => {
                    let path = name(session, Slot::OPEN).to_string();
                    return Err(Error::Unconditional { path });
                }
                Err(error) => error,
            };
            failures += 1;
            if failures >= self.retry.attempts_max() {
                return Err(unavailable(&error));
            }
            self.retry.pause(failures).await;
        }
    }
}
