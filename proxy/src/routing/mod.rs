//! Who is shown to clients, and who is asked for partitions.

mod leader;
mod owners;
mod shown;

pub(crate) use owners::Owners;
pub(crate) use shown::Shown;
