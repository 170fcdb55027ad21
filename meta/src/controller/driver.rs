//! What an elected controller does by itself: it condemns sessions whose brokers have probably died,
//! keeps the assignments even as brokers come and go, finishes what was interrupted, and removes what
//! was deleted.

use std::{collections::BTreeSet, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::{Instant, sleep, sleep_until};
use weir_ids::{NodeId, TopicId};
use weir_runtime::Stop;

use super::{
    balance::Balance,
    condemn::Asked,
    election::Term,
    error::Error,
    liveness::{Brokers, Liveness},
    local::Inner,
    placement,
};
use crate::{
    model::{Creation, Deletion, ModelError, Record},
    store::{Remedy, list},
    views::Changes,
};

/// How soon what could not be finished is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How often the driver looks although nobody called it: what a delayed write has begun is found.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// Works whenever this controller is elected, until `stop`.
pub(super) async fn run(inner: &Inner, stop: Stop) {
    let mut terms = inner.term.subscribe();
    loop {
        let work = async {
            let term = match terms.wait_for(Option::is_some).await {
                Ok(term) => *term,
                Err(_) => return,
            };
            let Some(term) = term else { return };
            tokio::select! {
                biased;
                _ = terms.wait_for(|now| *now != Some(term)) => {}
                () = Driver::new(inner, term).run() => {}
            }
        };
        tokio::select! {
            biased;
            () = stop.requested() => return,
            () = work => {}
        }
    }
}

/// One term's work.
struct Driver<'a> {
    inner: &'a Inner,
    term: Term,
    liveness: Liveness,
    /// Over which brokers the partitions were evened out last.
    evened: Option<Brokers>,
    balance: Balance,
    /// The sessions that are being asked, while everything else goes on.
    asking: FuturesUnordered<BoxFuture<'a, Asked>>,
    /// What came of that, and is to be judged.
    heard: Vec<Asked>,
}

impl<'a> Driver<'a> {
    fn new(inner: &'a Inner, term: Term) -> Self {
        inner.forget_loads();
        Self {
            inner,
            term,
            liveness: Liveness::default(),
            evened: None,
            balance: Balance::default(),
            asking: FuturesUnordered::new(),
            heard: Vec::new(),
        }
    }

    async fn run(mut self) {
        let mut changes = self.inner.view.changes();
        let mut links = self.inner.link.subscribe();
        loop {
            let done = match self.work().await {
                Ok(done) => done,
                Err(Error::NotController { .. }) => return,
                Err(error) if error.remedy() == Remedy::Stop => {
                    tracing::error!(%error, "the controller can't go on");
                    return std::future::pending().await;
                }
                Err(error) => {
                    tracing::debug!(%error, "the controller tries again");
                    false
                }
            };
            let now = Instant::now();
            let dead_at = self.liveness.next_death(now);
            let link = *links.borrow_and_update();
            let due_at = self.liveness.next_due(link).filter(|_| done);
            tokio::select! {
                biased;
                Some(asked) = self.asking.next() => self.heard.push(asked),
                () = self.inner.nudge.notified() => {}
                () = self.inner.load_reported.notified() => {}
                () = until_sessions_change(&mut changes, &self.liveness) => {}
                () = sleep_until(due_at.unwrap_or(now)), if due_at.is_some() => {}
                _ = links.wait_for(|link| self.liveness.next_due(*link) != due_at), if done => {}
                () = sleep(if done { SWEEP_INTERVAL } else { RETRY_PAUSE }) => {}
                () = sleep_until(dead_at.unwrap_or(now)), if dead_at.is_some() => {}
            }
        }
    }

    /// `false`: something is left to do.
    async fn work(&mut self) -> Result<bool, Error> {
        // What clients wait for comes first.
        self.condemn().await?;
        self.even_out().await?;
        self.even_out_load().await?;
        let mut done = Self::finish_creations(self.inner, self.term).await?;
        done &= Self::finish_deletions(self.inner, self.term).await?;
        Ok(done)
    }

    /// Condemns the sessions that have probably ended.
    async fn condemn(&mut self) -> Result<(), Error> {
        let inner = self.inner;
        let now = inner.view.now();
        let draining = now.sessions().map(|session| session.session.node);
        let draining = draining.chain(now.drained()).filter(|node| now.is_draining(*node));
        self.liveness.see(now.sessions().map(|session| &**session), draining);
        let (at, link) = (Instant::now(), *inner.link.borrow());
        if self.liveness.needs_look(at, link) {
            let unsealed = inner.unsealed().await?;
            self.liveness.look(at, &unsealed);
        }
        for suspect in self.liveness.suspects(at, link, &inner.take_reports()) {
            self.asking.push(inner.ask(suspect).boxed());
        }
        // Who refuses does so at once.
        while let Some(Some(asked)) = self.asking.next().now_or_never() {
            self.heard.push(asked);
        }
        while let Some(asked) = self.heard.pop() {
            self.judge(asked).await?;
        }
        Ok(())
    }

    async fn judge(&mut self, Asked { suspect, probed, is_gone }: Asked) -> Result<(), Error> {
        let (id, why) = (suspect.id, suspect.why);
        self.liveness.heard(id, probed, Instant::now());
        if !is_gone {
            tracing::debug!(session = %id, ?why, ?probed, "a suspected session is spared");
        } else if self.inner.condemn(self.term, &suspect).await? {
            tracing::warn!(session = %id, ?why, ?probed, "a session is condemned");
            self.liveness.condemned(&suspect);
        } else {
            self.liveness.spared(id);
        }
        Ok(())
    }

    async fn finish_creations(inner: &Inner, term: Term) -> Result<bool, Error> {
        let mut done = true;
        for (id, creation) in intents::<Creation>(inner, Creation::PREFIX, Creation::topic).await? {
            // Whoever is still at work on it holds the name.
            let _alone = inner.lock_name(&creation.name).await;
            done &= inner.undo_creation(term, id).await?;
        }
        Ok(done)
    }

    async fn finish_deletions(inner: &Inner, term: Term) -> Result<bool, Error> {
        let mut done = true;
        for (id, deletion) in intents::<Deletion>(inner, Deletion::PREFIX, Deletion::topic).await? {
            done &= inner.remove(term, id, &deletion).await?;
        }
        Ok(done)
    }

    /// Evens out the assignments if the brokers are others than last time, or something is assigned
    /// to none of them: a topic may have been placed on one just before it died.
    async fn even_out(&mut self) -> Result<(), Error> {
        let now = self.inner.view.now();
        if self.liveness.alive().is_empty() {
            return Ok(());
        }
        let topics = now.topics().filter_map(|topic| Some((topic, now.assignment(topic.id)?)));
        let assignments: Vec<(TopicId, &[NodeId])> = topics
            .map(|(topic, nodes)| (topic.id, &nodes[..nodes.len().min(topic.partitions as usize)]))
            .collect();
        let assigned: BTreeSet<NodeId> =
            assignments.iter().flat_map(|(_, nodes)| nodes.iter().copied()).collect();
        let known = self.evened.iter().flat_map(Brokers::all).chain(assigned.iter().copied());
        let brokers = self.liveness.brokers(known, Instant::now());
        let fits = assigned.iter().all(|node| brokers.may_keep(*node));
        if self.evened.as_ref() == Some(&brokers) && fits {
            return Ok(());
        }
        let Brokers { ready, awaited } = &brokers;
        let is_first_look = self.evened.is_none();
        let moves = match is_first_look && fits && placement::is_about_even(&assignments, ready) {
            // As another controller has left it, who knew what they have to do.
            true => Vec::new(),
            false => placement::rebalance(&assignments, ready, awaited, &self.balance.weights()),
        };
        if !moves.is_empty() {
            tracing::info!(moves = moves.len(), brokers = ready.len(), "evening out partitions");
            self.inner.carry_out(self.term, moves).await?;
            self.balance.reset();
        }
        self.inner.forget_loads();
        self.evened = Some(brokers);
        Ok(())
    }

    /// Evens out what brokers have to do, by what they have reported.
    async fn even_out_load(&mut self) -> Result<(), Error> {
        let Some(brokers) = &self.evened else { return Ok(()) };
        let at = Instant::now();
        let reports = self.inner.take_load_reports();
        if reports.is_empty() {
            return Ok(());
        }
        reports.into_values().for_each(|report| self.balance.report(report, at));
        let now = self.inner.view.now();
        let moves = self.balance.judge(at, &brokers.ready, |partition| now.assigned(partition));
        if !moves.is_empty() {
            tracing::info!(moves = moves.len(), "evening out load");
            self.inner.carry_out(self.term, moves).await?;
            self.inner.forget_loads();
        }
        Ok(())
    }
}

/// Waits until other sessions are registered than were seen last.
async fn until_sessions_change(changes: &mut Changes, liveness: &Liveness) {
    while !liveness.is_news(&*changes.next().await) {}
}

/// What was begun and not finished, under `prefix`.
async fn intents<T: Record>(
    inner: &Inner,
    prefix: &str,
    topic: impl Fn(&crate::store::Key) -> Option<TopicId>,
) -> Result<Vec<(TopicId, T)>, Error> {
    let (entries, _) = list(inner.store(), prefix).await?;
    let named = entries.iter().filter_map(|entry| Some((topic(&entry.key)?, entry)));
    let read: Result<Vec<_>, ModelError> =
        named.map(|(topic, entry)| Ok((topic, T::decode(entry)?))).collect();
    Ok(read.map_err(crate::Error::from)?)
}
