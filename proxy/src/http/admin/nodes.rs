//! The nodes of the cluster: what they are, and draining them.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::HeaderMap,
};
use serde::Serialize;
use weir_ids::NodeId;
use weir_meta::{controller::Drain, model::Role, views::Snapshot};

use super::{Admin, problem::Problem};

/// All nodes.
#[derive(Serialize)]
pub(super) struct Nodes {
    /// The elected controller.
    controller: Option<u32>,
    nodes: Vec<Shown>,
}

/// A node.
#[derive(Serialize)]
pub(super) struct Shown {
    id: u32,
    /// Whether it is there, as far as the metadata know.
    registered: bool,
    roles: Vec<Role>,
    zone: Option<String>,
    /// Where clients reach it.
    kafka: Option<String>,
    /// Where other nodes do.
    rpc: Option<String>,
    http: Option<String>,
    /// Its broker's session.
    session: Option<u64>,
    /// Whether an operator wants it to have nothing.
    drained: bool,
    /// Whether it is to have nothing: so, or because it is about to end.
    draining: bool,
    /// How many partitions it is to own.
    partitions: u64,
}

/// What nodes there are, and what each of them is to own.
struct Counted<'a> {
    now: &'a Snapshot,
    partitions: BTreeMap<NodeId, u64>,
}

impl<'a> Counted<'a> {
    fn new(now: &'a Snapshot) -> Self {
        let mut partitions = BTreeMap::new();
        for topic in now.topics() {
            let nodes = now.assignment(topic.id).map_or(&[][..], |nodes| nodes);
            for node in nodes.iter().take(topic.partitions as usize) {
                *partitions.entry(*node).or_default() += 1;
            }
        }
        Self { now, partitions }
    }

    fn ids(&self) -> BTreeSet<NodeId> {
        let registered = self.now.nodes().map(|(id, _)| id);
        registered.chain(self.now.drained()).chain(self.partitions.keys().copied()).collect()
    }

    fn show(&self, id: NodeId) -> Shown {
        let node = self.now.node(id);
        let of =
            |text: fn(&weir_meta::model::Node) -> Option<String>| node.and_then(|node| text(node));
        Shown {
            id: id.0,
            registered: node.is_some(),
            roles: node.map(|node| node.roles.clone()).unwrap_or_default(),
            zone: of(|node| node.zone.clone()),
            kafka: of(|node| node.kafka.as_ref().map(ToString::to_string)),
            rpc: of(|node| node.rpc.clone()),
            http: of(|node| node.http.clone()),
            session: self.now.session_of(id).map(|session| session.id.0),
            drained: self.now.drained().any(|drained| drained == id),
            draining: self.now.is_draining(id),
            partitions: self.partitions.get(&id).copied().unwrap_or_default(),
        }
    }
}

/// `GET /admin/v1/nodes`
pub(super) async fn list(State(admin): State<Admin>) -> Json<Nodes> {
    let now = admin.view.now();
    let counted = Counted::new(&now);
    let nodes = counted.ids().into_iter().map(|id| counted.show(id)).collect();
    Json(Nodes { controller: now.controller().map(|id| id.0), nodes })
}

/// `GET /admin/v1/nodes/{id}`
pub(super) async fn show(
    State(admin): State<Admin>,
    id: Result<Path<u32>, PathRejection>,
) -> Result<Json<Shown>, Problem> {
    let Path(id) = id?;
    let now = admin.view.now();
    let counted = Counted::new(&now);
    if !counted.ids().contains(&NodeId(id)) {
        return Err(Problem::not_found(format!("there is no node {id}")));
    }
    Ok(Json(counted.show(NodeId(id))))
}

/// `PUT /admin/v1/nodes/{id}/drain`
pub(super) async fn drain(
    State(admin): State<Admin>,
    headers: HeaderMap,
    id: Result<Path<u32>, PathRejection>,
) -> Result<Json<Drained>, Problem> {
    set(&admin, &headers, id?.0, true).await
}

/// `DELETE /admin/v1/nodes/{id}/drain`
pub(super) async fn undrain(
    State(admin): State<Admin>,
    headers: HeaderMap,
    id: Result<Path<u32>, PathRejection>,
) -> Result<Json<Drained>, Problem> {
    set(&admin, &headers, id?.0, false).await
}

/// What was recorded of a node.
#[derive(Serialize)]
pub(super) struct Drained {
    id: u32,
    drained: bool,
}

async fn set(
    admin: &Admin,
    headers: &HeaderMap,
    id: u32,
    drain: bool,
) -> Result<Json<Drained>, Problem> {
    admin.access.check(headers)?;
    admin.controller.drain(Drain { node: NodeId(id), drain }).await?;
    Ok(Json(Drained { id, drained: drain }))
}
