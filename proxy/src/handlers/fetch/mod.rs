//! Fetch: records from given offsets, perhaps after a wait.
//!
//! Rounds of reading alternate with waits at the tails until there is enough, something is to be
//! told at once, or the time is over. Between rounds a fetch holds no records and no response
//! memory.

mod answer;
mod batches;
mod plan;
mod round;
mod session;
mod stored;
mod wait;

use std::future::Future;

use tokio::time::Instant;
use weir_meta::views::Snapshot;
use weir_protocol::messages::{FetchRequest, FetchResponse, fetch::FetchTopic};

pub(crate) use self::session::{Kept, Sessions};
use self::{
    plan::{Asked, Plan, Routes, Terms, TopicKey},
    round::Round,
    session::{Resting, Session},
    wait::Waiting,
};
use super::{
    Answer, Call, Handlers,
    patience::{PATIENCE, Pauses},
};

/// Thousands of these wait: what is not needed for that is in boxes of its own. A block keeps what it
/// captures once, a function would twice.
#[expect(clippy::manual_async_fn, reason = "see above")]
pub(super) fn handle(
    handlers: &Handlers,
    call: &Call,
    mut request: FetchRequest,
) -> impl Future<Output = Answer> {
    async move {
        let began = Instant::now();
        let terms = Terms::of(&request, call.version, &handlers.shared.settings);
        let deadline = wait::deadline(began, terms.max_wait, handlers.began);
        let kept = &call.conversation.fetches;
        let answer = match kept.enter(&mut request, terms, &handlers.fetch_sessions) {
            Err(error_code) => Answer::of(FetchResponse { error_code, ..FetchResponse::default() }),
            Ok(None) => {
                let topics = request.topics.drain(..).map(asked);
                let now = handlers.view.now();
                let plan = Plan::new(terms, topics, &routes(handlers, &now));
                Box::pin(of_plan(handlers, call, plan, deadline)).await
            }
            Ok(Some(mut session)) => {
                let resting = session.resume(&terms, handlers.view.with(Snapshot::revision));
                let answer = match resting.filter(|_| !handlers.turns_away()) {
                    Some(resting) => rested(handlers, &mut session, resting, deadline).await,
                    None => None,
                };
                let answer = match answer {
                    Some(answer) => answer,
                    None => {
                        Box::pin(of_session(handlers, call, &mut session, terms, deadline)).await
                    }
                };
                kept.put(session);
                answer
            }
        };
        handlers.shared.metrics.fetch_seconds.observe(began.elapsed().as_secs_f64());
        answer
    }
}

fn routes<'a>(handlers: &'a Handlers, now: &'a Snapshot) -> Routes<'a> {
    Routes { now, owners: &handlers.owners }
}

fn asked(topic: FetchTopic) -> (TopicKey, impl Iterator<Item = Asked>) {
    let FetchTopic { topic: name, topic_id: id, partitions } = topic;
    (TopicKey { name, id }, partitions.into_iter().map(|asked| Asked::from(&asked)))
}

/// The answer to a fetch outside any session.
async fn of_plan(handlers: &Handlers, call: &Call, plan: Plan, deadline: Instant) -> Answer {
    let (mut plan, round, _) = run(handlers, plan, deadline).await;
    let shown = || handlers.shown(call);
    let tells_all = |_, _: &_| true;
    let body = answer::response(&mut plan, call.version, &handlers.owners, shown, tells_all);
    Answer { body: body.into(), memory: round.memory }
}

/// Goes on with the wait of the fetch before. There is an answer if nothing happens: nothing.
async fn rested(
    handlers: &Handlers,
    session: &mut Session,
    mut resting: Resting,
    deadline: Instant,
) -> Option<Answer> {
    if resting.waiting.hears(handlers, deadline).await {
        return None;
    }
    session.rest(resting);
    let session_id = session.id();
    Some(Answer::of(FetchResponse { session_id, ..FetchResponse::default() }))
}

async fn of_session(
    handlers: &Handlers,
    call: &Call,
    session: &mut Session,
    terms: Terms,
    deadline: Instant,
) -> Answer {
    let snapshot = handlers.view.now();
    let plan = Plan::new(terms, session.topics(), &routes(handlers, &snapshot));
    let revision = snapshot.revision();
    drop(snapshot);
    let (mut plan, round, waiting) = run(handlers, plan, deadline).await;
    let given = plan.partitions.iter().rposition(|it| it.found.bytes() > 0);
    let shown = || handlers.shown(call);
    let tells = |place, partition: &_| session.tells(place, partition);
    let response = answer::response(&mut plan, call.version, &handlers.owners, shown, tells);
    session.turn(given);
    if let Some(waiting) = waiting {
        session.rest(Resting { plan, waiting, revision });
    }
    let session_id = session.id();
    Answer { body: FetchResponse { session_id, ..response }.into(), memory: round.memory }
}

/// Reads and waits until there is an answer. Gives the wait if it has heard nothing: what was found
/// holds until it does.
async fn run(
    handlers: &Handlers,
    mut plan: Plan,
    deadline: Instant,
) -> (Plan, Round, Option<Waiting>) {
    if handlers.turns_away() {
        plan.turn_away();
        return (plan, Round::nothing(), None);
    }
    let mut round = round::run(handlers, &mut plan, deadline).await;
    let mut search = Search::default();
    while !(is_enough(&plan, &round, deadline) || handlers.stop.is_requested()) {
        let Some(until) = search.until(&plan, deadline) else { break };
        drop(std::mem::replace(&mut round, Round::nothing()));
        let mut waiting = Waiting::on(handlers, &mut plan);
        if !waiting.hears(handlers, until).await {
            return (plan, round, Some(waiting));
        }
        drop(waiting);
        if plan.is_moving() {
            plan.route(&routes(handlers, &handlers.view.now()));
        }
        plan.forget();
        round = round::run(handlers, &mut plan, deadline).await;
    }
    (plan, round, None)
}

/// The search for owners of partitions that move.
#[derive(Default)]
struct Search(Option<(Instant, Pauses)>);

impl Search {
    /// Until when to wait for news of `plan`; `None` when an owner has been looked for long enough.
    fn until(&mut self, plan: &Plan, deadline: Instant) -> Option<Instant> {
        if !plan.is_moving() {
            self.0 = None;
            return Some(deadline);
        }
        let now = Instant::now();
        let (give_up, pauses) = self.0.get_or_insert_with(|| (now + PATIENCE, Pauses::new()));
        let next = now + pauses.next();
        (next <= *give_up).then_some(next.min(deadline))
    }
}

fn is_enough(plan: &Plan, round: &Round, deadline: Instant) -> bool {
    round.limited
        || plan.is_settled()
        || plan.bytes() >= plan.terms.min_bytes
        || Instant::now() >= deadline
}

#[cfg(test)]
mod session_tests;
#[cfg(test)]
pub(super) mod tests;
