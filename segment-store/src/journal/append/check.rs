//! Whether a file system can be relied on, found out before anything is entrusted to it.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use weir_runtime::Runtime;

use super::AppendStore;

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(15);
/// Pause before it is asked again, and at most as much more.
const PAUSE: Duration = Duration::from_secs(1);

/// Why nothing can be kept there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CheckError {
    /// It will say the same until somebody changes something here.
    #[error("{0}")]
    Refused(String),
    /// It may say something else by itself in a while.
    #[error("{0}")]
    Unavailable(String),
}

/// Finds out whether files can be made, written, made durable and deleted in `files`. What may heal is asked
/// again, for as long as `patience` lasts.
///
/// # Errors
/// [`CheckError`], the last one.
pub async fn check_files(
    files: &dyn AppendStore,
    runtime: &Runtime,
    patience: Duration,
) -> Result<(), CheckError> {
    let deadline = Instant::now() + patience;
    loop {
        let checked = timeout(ATTEMPT, files.check()).await.unwrap_or_else(|_| {
            let what = format!("it does not answer within {} s", ATTEMPT.as_secs());
            Err(CheckError::Unavailable(what))
        });
        match checked {
            Err(CheckError::Unavailable(why)) if Instant::now() < deadline => {
                tracing::warn!(why, "asking the file system again");
                let share = runtime.random_u64() % PAUSE.as_millis() as u64;
                sleep(PAUSE + Duration::from_millis(share)).await;
            }
            checked => return checked,
        }
    }
}
