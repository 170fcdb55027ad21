//! Scenarios of one group, each a script of who says what when.

mod commits;
mod joining;
mod leaving;
mod script;
mod statics;
mod syncing;
mod timeouts;
