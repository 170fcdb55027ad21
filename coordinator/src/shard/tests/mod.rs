//! A shard's task over a broker in memory that fails as it is told.

mod compacting;
mod desk;
mod failing;
mod loading;
mod writing;
