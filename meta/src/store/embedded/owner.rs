//! The thread that owns the file: judges, commits, publishes, answers, in that order.

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::file::{CommitError, Store};
use crate::store::{
    StoreError,
    machine::{Answer, Command},
    published::Published,
};

/// How many requests share a commit at most.
const GROUP_REQUESTS_MAX: usize = 256;

/// What the owner is asked.
pub(super) enum Request {
    Apply { command: Command, now: Instant, reply: Reply },
    Close { done: oneshot::Sender<()> },
}

type Reply = oneshot::Sender<Result<Answer, StoreError>>;

/// One request of a group.
struct Asked {
    command: Command,
    now: Instant,
    reply: Reply,
}

/// Serves requests until it is asked to close or nobody can ask any more.
pub(super) fn run(mut file: Store, published: &Published, mut requests: mpsc::Receiver<Request>) {
    let mut closing = None;
    while closing.is_none() {
        let mut next = requests.blocking_recv();
        if next.is_none() {
            break;
        }
        let mut group = Vec::new();
        while let Some(request) = next.take() {
            match request {
                Request::Apply { command, now, reply } => group.push(Asked { command, now, reply }),
                Request::Close { done } => {
                    closing = Some(done);
                    break;
                }
            }
            if group.len() < GROUP_REQUESTS_MAX {
                next = requests.try_recv().ok();
            }
        }
        serve(&mut file, published, group);
    }
    published.take_down(StoreError::Closed);
    drop(requests);
    drop(file);
    if let Some(done) = closing {
        // Whoever asked may have stopped waiting.
        let _ = done.send(());
    }
}

fn serve(file: &mut Store, published: &Published, group: Vec<Asked>) {
    let (mut machine, mut changes) = (published.lock().machine.clone(), Vec::new());
    let answers: Vec<_> = group
        .iter()
        .map(|asked| {
            machine.expire(asked.now, &mut changes);
            machine.apply(&asked.command, asked.now, &mut changes)
        })
        .collect();
    let committed = if changes.is_empty() { Ok(()) } else { file.commit(&machine, &changes) };
    match committed {
        Ok(()) => {
            published.publish(machine, changes);
            for (asked, answer) in group.into_iter().zip(answers) {
                // A caller that stopped waiting has no use for the answer.
                drop(asked.reply.send(answer));
            }
        }
        Err(CommitError::Full(why)) => serve_without_writing(published, group, &why),
        Err(CommitError::Broken(why)) => {
            tracing::error!(error = %why, "metadata store stops");
            published.take_down(why.clone());
            for asked in group {
                drop(asked.reply.send(Err(why.clone())));
            }
        }
    }
}

/// Answers what needs no room: leases that are kept alive, compares that fail. No lease ends
/// meanwhile, for its keys can't be deleted.
fn serve_without_writing(published: &Published, group: Vec<Asked>, why: &StoreError) {
    let mut machine = published.lock().machine.clone();
    for asked in group {
        let (mut tried, mut changes) = (machine.clone(), Vec::new());
        let answer = tried.apply(&asked.command, asked.now, &mut changes);
        let answer = if changes.is_empty() {
            machine = tried;
            answer
        } else {
            Err(why.clone())
        };
        drop(asked.reply.send(answer));
    }
    published.publish(machine, Vec::new());
}
