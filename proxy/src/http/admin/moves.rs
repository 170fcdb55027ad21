//! Where partitions are, and giving them to others.

use axum::{
    Json,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use weir_ids::NodeId;
use weir_meta::controller::MovePartitions;

use super::{Admin, problem::Problem};

/// Which node is to own the partitions of a topic.
#[derive(Serialize)]
pub(super) struct Placement {
    topic: String,
    id: String,
    partitions: Vec<Placed>,
}

#[derive(Serialize)]
struct Placed {
    partition: u32,
    node: u32,
}

/// Partitions that are to have another node.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    topic: String,
    partitions: Vec<u32>,
    to: u32,
}

/// `GET /admin/v1/topics/{name}/partitions`
pub(super) async fn partitions(
    State(admin): State<Admin>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Placement>, Problem> {
    let Path(name) = name?;
    let now = admin.view.now();
    let topic = now.topic(&name).ok_or_else(|| unknown(&name))?;
    let nodes = now.assignment(topic.id).map_or(&[][..], |nodes| nodes);
    let placed = (0..topic.partitions).zip(nodes);
    let placed = placed.map(|(partition, node)| Placed { partition, node: node.0 }).collect();
    Ok(Json(Placement { topic: name, id: topic.id.to_string(), partitions: placed }))
}

/// `POST /admin/v1/moves`
pub(super) async fn begin(
    State(admin): State<Admin>,
    headers: HeaderMap,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<(StatusCode, Json<Wanted>), Problem> {
    admin.access.check(&headers)?;
    let Json(wanted) = wanted?;
    let topic = admin.view.with(|now| now.topic(&wanted.topic).map(|topic| topic.id));
    let topic = topic.ok_or_else(|| unknown(&wanted.topic))?;
    let (partitions, to) = (wanted.partitions.clone(), NodeId(wanted.to));
    admin.controller.move_partitions(MovePartitions { topic, partitions, to }).await?;
    Ok((StatusCode::ACCEPTED, Json(wanted)))
}

fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("there is no topic {name:?}"))
}
