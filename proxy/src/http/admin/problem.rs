//! What is answered when something is not done: a status, and in JSON what is wrong and what to do.

use axum::{
    Json,
    extract::rejection::{JsonRejection, PathRejection},
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use weir_meta::{controller::Error, store::Remedy};

/// Why something is not done: `{"error_code": 404, "message": "…"}`, as Confluent's REST API has it.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    message: String,
}

#[derive(Serialize)]
struct Body {
    error_code: u16,
    message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body { error_code: self.status.as_u16(), message: self.message };
        (self.status, Json(body)).into_response()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, rest) = match &error {
            Error::UnknownTopic { .. }
            | Error::UnknownPartition { .. }
            | Error::NoSuchNode { .. } => (StatusCode::NOT_FOUND, ""),
            error => match error.remedy() {
                Remedy::Fix => (StatusCode::UNPROCESSABLE_ENTITY, ""),
                Remedy::Retry => (StatusCode::SERVICE_UNAVAILABLE, "; try again in a moment"),
                Remedy::Stop => (StatusCode::INTERNAL_SERVER_ERROR, ""),
            },
        };
        Self::new(status, format!("{error}{rest}"))
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

/// What is answered at a path that is none.
pub(super) async fn no_such_path(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}", uri.path()))
}

/// What is answered to a method that a path does not know.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let message = format!("{} does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, message)
}
