//! `/admin/v1/`: what only Weir has, for operators and their tools. The same on every node of a cluster:
//! what is shown is this node's view, and what changes something is asked of the elected controller.
//!
//! | request | does |
//! |---|---|
//! | `GET nodes`, `GET nodes/{id}` | shows nodes, their roles, addresses, and how many partitions they are to own |
//! | `PUT nodes/{id}/drain` | takes everything from a node; lasts until `DELETE nodes/{id}/drain` |
//! | `GET topics/{name}/partitions` | shows which node is to own which partition |
//! | `POST moves` | gives partitions to a node: `{"topic": NAME, "partitions": [N, …], "to": NODE}` |
//!
//! - `access`: who may change something.
//! - `problem`: what is answered instead.

mod access;
mod moves;
mod nodes;
mod problem;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post, put},
};
use weir_meta::{controller::Controller, views::View};

pub use access::Access;

/// What the admin API is made of. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    /// What is shown.
    pub view: View,
    /// Who is asked for changes.
    pub controller: Arc<dyn Controller>,
    /// Who may ask for them.
    pub access: Access,
}

impl Admin {
    /// The routes under `/admin/v1/`.
    pub(super) fn router(self) -> Router {
        let routes = Router::new()
            .route("/nodes", get(nodes::list))
            .route("/nodes/{id}", get(nodes::show))
            .route("/nodes/{id}/drain", put(nodes::drain).delete(nodes::undrain))
            .route("/topics/{name}/partitions", get(moves::partitions))
            .route("/moves", post(moves::begin))
            .method_not_allowed_fallback(problem::no_such_method)
            .fallback(problem::no_such_path);
        Router::new().nest("/admin/v1", routes.with_state(self))
    }
}
