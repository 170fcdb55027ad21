//! Who is shown to clients, and what is known of partitions' leader epochs.

mod epochs;
mod leader;
mod shown;

pub(crate) use epochs::Epochs;
pub(crate) use shown::Shown;
