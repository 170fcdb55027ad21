//! DeleteTopics, by name or id.

use std::collections::HashSet;

use bytestring::ByteString;
use futures::{StreamExt, stream};
use tokio::time::Instant;
use weir_ids::TopicId;
use weir_meta::controller::TopicRef;
use weir_protocol::{
    ErrorCode,
    messages::{
        DeleteTopicsRequest, DeleteTopicsResponse,
        delete_topics::{DeletableTopicResult, DeleteTopicState},
    },
};

use super::{
    Answer, Call, Handlers,
    admin::{self, Failure},
    create_topics::twice,
};

/// From this version on topics can be named by id.
const BY_TOPIC_ID: i16 = 6;
/// How many topics of a request are deleted at the same time.
const AT_ONCE: usize = 8;

pub(super) async fn handle(
    handlers: &Handlers,
    call: &Call,
    request: DeleteTopicsRequest,
) -> Answer {
    let deadline = admin::deadline(request.timeout_ms);
    let asked = if call.version >= BY_TOPIC_ID {
        request.topics
    } else {
        let by_name = |name| DeleteTopicState { name: Some(name), topic_id: TopicId::NIL };
        request.topic_names.into_iter().map(by_name).collect()
    };
    let (once, repeated) = apart(asked);
    let deleted = once.into_iter().map(|asked| async move {
        let deleted = match topic_ref(&asked) {
            Ok(topic) => delete(handlers, topic, deadline).await,
            Err(failure) => Err(failure),
        };
        result(asked, deleted)
    });
    let deleted: Vec<_> = deleted.collect();
    let mut responses: Vec<_> = stream::iter(deleted).buffered(AT_ONCE).collect().await;
    responses.extend(repeated.into_iter().map(|asked| result(asked, Err(twice()))));
    Answer::of(DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() })
}

/// What is named once, and one of each that is named more often.
fn apart(asked: Vec<DeleteTopicState>) -> (Vec<DeleteTopicState>, Vec<DeleteTopicState>) {
    let key = |asked: &DeleteTopicState| (asked.name.clone(), asked.topic_id);
    let mut seen = HashSet::with_capacity(asked.len());
    let mut repeated = HashSet::new();
    for one in &asked {
        if !seen.insert(key(one)) {
            repeated.insert(key(one));
        }
    }
    let (mut once, mut again) = (Vec::new(), Vec::new());
    for one in asked {
        if repeated.contains(&key(&one)) {
            if seen.remove(&key(&one)) {
                again.push(one);
            }
        } else {
            once.push(one);
        }
    }
    (once, again)
}

fn topic_ref(asked: &DeleteTopicState) -> Result<TopicRef, Failure> {
    let invalid = |message: &str| Err((ErrorCode::INVALID_REQUEST, message.to_owned()));
    match (&asked.name, asked.topic_id) {
        (Some(name), TopicId::NIL) => Ok(TopicRef::Name(name.to_string())),
        (Some(_), _) => invalid("give a topic's name or its id, not both"),
        (None, TopicId::NIL) => invalid("give a topic's name or its id"),
        (None, id) => Ok(TopicRef::Id(id)),
    }
}

async fn delete(
    handlers: &Handlers,
    topic: TopicRef,
    deadline: Instant,
) -> Result<(ByteString, TopicId), Failure> {
    let ask = || handlers.controller.delete_topic(topic.clone());
    let deleted = admin::change(deadline, ask).await?;
    admin::until_gone(handlers, deleted.id, deadline).await;
    Ok((deleted.name.into(), deleted.id))
}

fn result(
    asked: DeleteTopicState,
    deleted: Result<(ByteString, TopicId), Failure>,
) -> DeletableTopicResult {
    match deleted {
        Ok((name, topic_id)) => {
            DeletableTopicResult { name: Some(name), topic_id, ..DeletableTopicResult::default() }
        }
        Err((error_code, message)) => DeletableTopicResult {
            name: asked.name,
            topic_id: asked.topic_id,
            error_code,
            error_message: Some(message.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::topic_id;

    fn named(name: Option<&str>, id: u128) -> DeleteTopicState {
        DeleteTopicState { name: name.map(Into::into), topic_id: topic_id(id) }
    }

    #[test]
    fn what_is_named_twice_is_set_apart_once() {
        let asked = vec![
            named(Some("a"), 0),
            named(None, 1),
            named(Some("a"), 0),
            named(Some("b"), 0),
            named(Some("a"), 0),
            named(None, 1),
        ];
        let (once, again) = apart(asked);
        assert_eq!(once, [named(Some("b"), 0)]);
        assert_eq!(again, [named(Some("a"), 0), named(None, 1)]);
    }

    #[test]
    fn a_topic_is_named_in_exactly_one_way() {
        assert_eq!(topic_ref(&named(Some("a"), 0)), Ok(TopicRef::Name("a".into())));
        assert_eq!(topic_ref(&named(None, 5)), Ok(TopicRef::Id(topic_id(5))));
        for asked in [named(None, 0), named(Some("a"), 5)] {
            assert_eq!(topic_ref(&asked).unwrap_err().0, ErrorCode::INVALID_REQUEST);
        }
    }
}
