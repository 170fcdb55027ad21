use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn view(id: u64, node: u32) -> SessionView {
    let rpc = Some(format!("node-{node}:9650"));
    SessionView { id: SessionId(id), session: Session { node: NodeId(node), rpc, zone: None } }
}

fn nodes(of: &[u32]) -> BTreeSet<NodeId> {
    of.iter().copied().map(NodeId).collect()
}

/// A controller's term, told in seconds since some time. The link gives a sign every second, and has for
/// long.
struct Term {
    liveness: Liveness,
    start: Instant,
    link: Link,
    registered: Vec<SessionView>,
    unsealed: BTreeMap<SessionId, Unsealed>,
    draining: BTreeSet<NodeId>,
}

impl Term {
    fn new(sessions: &[(u64, u32)]) -> Self {
        let start = Instant::now() + TRUSTED_AFTER;
        let mut link = Link::new(start - TRUSTED_AFTER, SECOND * 2);
        (0..6).rev().for_each(|ago| link.arrived(start - SECOND * ago));
        let mut term = Self {
            liveness: Liveness::default(),
            start,
            link,
            registered: Vec::new(),
            unsealed: BTreeMap::new(),
            draining: BTreeSet::new(),
        };
        for (id, node) in sessions {
            term.register(*id, *node);
        }
        term.at(0);
        term
    }

    fn register(&mut self, id: u64, node: u32) {
        self.registered.retain(|view| view.id != SessionId(id));
        self.registered.push(view(id, node));
        let unsealed = Unsealed { node: Some(NodeId(node)), rpc: None, condemned: false };
        self.unsealed.entry(SessionId(id)).or_insert(unsealed);
    }

    fn lose(&mut self, id: u64) {
        self.registered.retain(|view| view.id != SessionId(id));
    }

    /// A round of the driver at `second`, up to whom it asks; whom it asks for being missing.
    fn at(&mut self, second: u32) -> Vec<u64> {
        self.link.arrived(self.start + SECOND * second);
        let asked = self.round(second, &[]);
        let missing = asked.iter().filter(|suspect| matches!(suspect.why, Suspicion::Missing(_)));
        missing.map(|suspect| suspect.id.0).collect()
    }

    fn round(&mut self, second: u32, reported: &[u64]) -> Vec<Suspect> {
        let suspects = self.ask(second, reported);
        suspects.iter().for_each(|suspect| self.hear(second, suspect, Probed::Silent));
        suspects
    }

    /// A round of the driver at `second` in which nothing is heard of whom it asks.
    fn ask(&mut self, second: u32, reported: &[u64]) -> Vec<Suspect> {
        let now = self.start + SECOND * second;
        self.liveness.see(self.registered.iter(), self.draining.iter().copied());
        if self.liveness.needs_look(now, self.link) {
            self.liveness.look(now, &self.unsealed);
        }
        let reported = reported.iter().copied().map(SessionId).collect();
        self.liveness.suspects(now, self.link, &reported)
    }

    fn hear(&mut self, second: u32, suspect: &Suspect, probed: Probed) {
        self.liveness.heard(suspect.id, probed, self.start + SECOND * second);
    }

    fn condemn(&mut self, suspect: &Suspect) {
        self.liveness.condemned(suspect);
        self.registered.retain(|view| view.id != suspect.id);
        if let Some(wal) = self.unsealed.get_mut(&suspect.id) {
            wal.condemned = true;
        }
    }

    fn brokers(&mut self, second: u32, assigned: &[u32]) -> BTreeSet<NodeId> {
        let Brokers { ready, awaited } = self.which(second, assigned);
        ready.union(&awaited).copied().collect()
    }

    fn which(&mut self, second: u32, assigned: &[u32]) -> Brokers {
        self.liveness.brokers(nodes(assigned), self.start + SECOND * second)
    }
}

#[test]
fn a_missing_session_is_asked_a_second_before_its_lease_proves_nothing_any_more() {
    let mut term = Term::new(&[(5, 1), (6, 2)]);
    term.lose(6);
    assert_eq!(term.at(1), [0; 0]);
    assert_eq!(term.brokers(1, &[1, 2]), nodes(&[1, 2]));
    assert_eq!(term.at(2), [6]);
    assert_eq!(term.brokers(2, &[1, 2]), nodes(&[1, 2]));
    let suspect = term.round(2, &[]).remove(0);
    assert_eq!(suspect.session.as_ref(), Some(&view(6, 2).session), "as it was registered");
    assert!(suspect.is_gone(Probed::Silent) && suspect.is_gone(Probed::Refuses));
    assert!(!suspect.is_gone(Probed::Answers));
    term.condemn(&suspect);
    assert_eq!(term.brokers(3, &[1, 2]), nodes(&[1]), "its partitions go at once");
    assert_eq!(term.at(60), [0; 0], "it is done");
}

#[test]
fn nobody_is_asked_twice_at_a_time_and_the_clock_says_when_again() {
    let mut term = Term::new(&[(5, 1), (6, 2)]);
    let reported = term.ask(0, &[6]).remove(0);
    term.lose(6);
    assert_eq!(term.ask(1, &[6]), [], "it is being asked");
    assert_eq!(term.liveness.next_due(term.link), None);
    term.hear(2, &reported, Probed::Silent);
    // It has been missing since it was lost, not since somebody had the time to look.
    let due = term.start + SECOND + MISSING_AFTER - ANSWERS_WITHIN;
    assert_eq!(term.liveness.next_due(term.link), Some(due));
    // The last sign of life of the link was sent at 0.
    let suspect = term.ask(2, &[]).remove(0);
    assert_eq!(suspect.why, Suspicion::Missing(term.start + SECOND));
    assert_eq!(term.ask(2, &[6]), []);
    assert_eq!(term.liveness.next_due(term.link), None);
}

#[test]
fn who_answers_keeps_its_partitions_and_is_asked_again() {
    let mut term = Term::new(&[(5, 1), (6, 2)]);
    term.lose(6);
    drop(term.at(1));
    let suspect = term.round(2, &[]).remove(0);
    term.hear(2, &suspect, Probed::Answers);
    for second in 3..8 {
        assert_eq!(term.at(second), [0; 0], "after {second} s");
        assert_eq!(term.brokers(second, &[1, 2]), nodes(&[1, 2]));
    }
    assert_eq!(term.at(8), [6]);
}

#[test]
fn trouble_with_the_own_link_begins_the_waiting_again() {
    let mut term = Term::new(&[(5, 1), (6, 2)]);
    term.lose(6);
    (1..=2).for_each(|second| drop(term.at(second)));
    term.link.failed(term.start + SECOND * 3);
    assert_eq!(term.round(40, &[]), [], "nothing was heard since");
    for second in 12..18 {
        assert_eq!(term.at(second), [0; 0], "after {second} s");
    }
    assert_eq!(term.at(18), [6], "two lease times from the first sign after the trouble");
}

#[test]
fn who_comes_back_was_never_away() {
    let mut term = Term::new(&[(5, 1), (6, 2)]);
    term.lose(6);
    drop(term.at(1));
    term.register(6, 2);
    assert_eq!(term.at(2), [0; 0]);
    term.lose(6);
    assert_eq!(term.at(3), [0; 0]);
    assert_eq!(term.at(4), [6]);
}

#[test]
fn a_report_is_followed_at_once_and_believed_if_refused() {
    let mut term = Term::new(&[(5, 1), (6, 2)]);
    assert_eq!(term.round(1, &[7]), [], "nobody knows that session");
    let suspect = term.round(1, &[6]).remove(0);
    assert_eq!((suspect.id, suspect.why), (SessionId(6), Suspicion::Reported));
    assert!(!suspect.is_gone(Probed::Answers) && !suspect.is_gone(Probed::Silent));
    assert!(suspect.is_gone(Probed::Refuses));
    term.liveness.condemned(&suspect);
    assert_eq!(term.brokers(1, &[1, 2]), nodes(&[1]), "though the view still shows it");
    assert_eq!(term.round(1, &[6]), [], "once is enough");
    // The same, when its lease has ended and it has not been missing for long.
    term.lose(5);
    term.at(2);
    assert_eq!(term.round(2, &[5]).remove(0).why, Suspicion::Reported);
}

#[test]
fn who_is_found_to_be_missing_is_asked_once_and_gone_if_it_refuses() {
    let mut term = Term::new(&[(5, 1), (6, 2)]);
    term.lose(6);
    let suspects = term.round(1, &[]);
    let [suspect] = &suspects[..] else { panic!("{suspects:?}") };
    assert_eq!((suspect.id, suspect.why), (SessionId(6), Suspicion::Found));
    assert!(!suspect.is_gone(Probed::Answers) && !suspect.is_gone(Probed::Silent));
    assert!(suspect.is_gone(Probed::Refuses));
    assert_eq!(term.round(1, &[]), []);
    term.register(6, 2);
    term.at(2);
    term.lose(6);
    assert_eq!(term.round(3, &[]).len(), 1, "it was there again");
}

#[test]
fn what_ended_in_order_is_not_condemned_and_its_partitions_go_later() {
    let mut term = Term::new(&[(5, 1), (6, 2)]);
    term.lose(6);
    term.unsealed.remove(&SessionId(6));
    term.at(1);
    assert_eq!(term.brokers(1, &[1, 2]), nodes(&[1, 2]));
    let death = term.liveness.next_death(term.start + SECOND);
    assert_eq!(death, Some(term.start + SECOND + DEAD_AFTER));
    for second in 2..7 {
        assert_eq!(term.at(second), [0; 0]);
        assert_eq!(term.brokers(second, &[1, 2]), nodes(&[1, 2]), "it may be restarting");
    }
    assert_eq!(term.brokers(7, &[1, 2]), nodes(&[1]));
    term.register(7, 2);
    term.at(8);
    assert_eq!(term.brokers(8, &[1]), nodes(&[1, 2]));
}

#[test]
fn a_node_that_was_restarted_is_alive_by_its_new_session() {
    let mut term = Term::new(&[(5, 1), (6, 2)]);
    term.lose(6);
    term.at(1);
    term.register(7, 2);
    term.at(2);
    assert_eq!(term.at(3), [6], "nobody has sealed the old one");
    let old = term.round(3, &[]).remove(0);
    term.condemn(&old);
    assert_eq!(term.brokers(3, &[1, 2]), nodes(&[1, 2]));
    // The new one loses its lease: that the old one is condemned says nothing of it.
    term.lose(7);
    term.at(4);
    assert_eq!(term.brokers(4, &[1, 2]), nodes(&[1, 2]));
}

#[test]
fn a_new_term_finds_what_an_earlier_one_left() {
    let start = Instant::now();
    let mut liveness = Liveness::default();
    let wal = |node, condemned| Unsealed { node, rpc: None, condemned };
    let unsealed = BTreeMap::from([
        (SessionId(3), wal(None, false)),
        (SessionId(4), Unsealed { rpc: Some("b:1".to_owned()), ..wal(Some(NodeId(2)), false) }),
        (SessionId(5), wal(Some(NodeId(3)), true)),
    ]);
    liveness.see([view(9, 1)].iter(), std::iter::empty());
    let mut link = Link::new(start, SECOND * 2);
    assert!(liveness.needs_look(start, link));
    liveness.look(start, &unsealed);
    assert!(!liveness.needs_look(start, link));
    let found = liveness.suspects(start, link, &BTreeSet::new());
    liveness.heard(SessionId(4), Probed::Silent, start);
    let there = Session { node: NodeId(2), rpc: Some("b:1".to_owned()), zone: None };
    let asked: Vec<_> = found.iter().map(|s| (s.id.0, s.session.clone(), s.why)).collect();
    assert_eq!(asked, [(4, Some(there.clone()), Suspicion::Found)], "nobody knows where 3 was");
    let brokers = Brokers { ready: nodes(&[1]), awaited: nodes(&[2]) };
    assert_eq!(liveness.brokers(nodes(&[2, 3]), start), brokers, "3 is condemned");
    (1..=6).for_each(|second| link.arrived(start + SECOND * second));
    let now = start + TRUSTED_AFTER;
    assert!(liveness.needs_look(now, link), "before it is asked");
    let suspects = liveness.suspects(now, link, &BTreeSet::new());
    let asked: Vec<_> = suspects.iter().map(|s| (s.id.0, s.node, s.session.clone())).collect();
    assert_eq!(asked, [(3, None, None), (4, Some(NodeId(2)), Some(there))]);
}

#[test]
fn who_drains_keeps_nothing_and_is_not_waited_for() {
    let mut term = Term::new(&[(5, 1), (6, 2)]);
    term.draining = nodes(&[2]);
    term.at(1);
    assert_eq!(term.brokers(1, &[1, 2]), nodes(&[1]));
    term.lose(6);
    term.draining = nodes(&[]);
    term.at(2);
    assert_eq!(term.brokers(2, &[1, 2]), nodes(&[1]), "it has died on its way out");
    term.unsealed.remove(&SessionId(6));
    term.at(3);
    assert_eq!(term.brokers(3, &[1, 2]), nodes(&[1]));
    assert_eq!(term.liveness.next_death(term.start), None);
    term.register(7, 2);
    term.at(4);
    assert_eq!(term.brokers(4, &[1]), nodes(&[1, 2]), "it is back");
}

#[test]
fn when_all_drain_they_keep_what_they_have() {
    let mut term = Term::new(&[(5, 1), (6, 2)]);
    term.draining = nodes(&[1, 2]);
    term.at(1);
    assert_eq!(term.brokers(1, &[1, 2]), nodes(&[1, 2]));
    // One that is not there yet can't be given anything.
    term.register(7, 3);
    term.lose(7);
    term.at(2);
    let brokers = Brokers { ready: nodes(&[1, 2]), awaited: nodes(&[3]) };
    assert_eq!(term.which(2, &[1, 2, 3]), brokers);
}

#[derive(Clone, Debug)]
enum Step {
    Register { node: u32 },
    Again { id: usize },
    Lose { id: usize },
    Seal { id: usize },
    Trouble,
    Silence { seconds: u32 },
    Time { seconds: u32 },
}

fn steps() -> impl Strategy<Value = Vec<(Step, u8)>> {
    let id = 0..6_usize;
    let step = prop_oneof![
        2 => (1..4_u32).prop_map(|node| Step::Register { node }),
        1 => id.clone().prop_map(|id| Step::Again { id }),
        3 => id.clone().prop_map(|id| Step::Lose { id }),
        1 => id.prop_map(|id| Step::Seal { id }),
        1 => Just(Step::Trouble),
        1 => (1..9_u32).prop_map(|seconds| Step::Silence { seconds }),
        4 => (1..25_u32).prop_map(|seconds| Step::Time { seconds }),
    ];
    prop::collection::vec((step, any::<u8>()), 1..60)
}

/// What may be said of a session, kept the simple way: when it was registered last, and when it answered.
struct Oracle {
    node: u32,
    registered: u32,
    answered: Option<u32>,
    condemned: bool,
}

impl Oracle {
    /// From when on it may be condemned, given when there was trouble last.
    fn due(&self, trouble: Option<u32>) -> u32 {
        let trusted = |since: u32| since + TRUSTED_AFTER.as_secs() as u32;
        let heard = trouble.into_iter().chain(self.answered).map(trusted).max().unwrap_or(0);
        let missing = self.registered.max(trouble.unwrap_or(0)) + MISSING_AFTER.as_secs() as u32;
        heard.max(missing)
    }
}

fn check(steps: &[(Step, u8)]) {
    let mut term = Term::new(&[]);
    let (mut second, mut trouble) = (0, None);
    let mut known: Vec<Oracle> = Vec::new();
    for (step, luck) in steps {
        let pick = |id: usize| (id < known.len()).then_some(id as u64 + 1);
        let mut seconds = 0;
        match step {
            Step::Register { node } => {
                let (node, registered) = (*node, second);
                known.push(Oracle { node, registered, answered: None, condemned: false });
                term.register(known.len() as u64, node);
            }
            Step::Again { id } => {
                let Some(id) = pick(*id) else { continue };
                let of = &known[id as usize - 1];
                if !of.condemned && term.unsealed.contains_key(&SessionId(id)) {
                    term.register(id, of.node);
                }
            }
            Step::Lose { id } => term.lose(*id as u64 + 1),
            Step::Seal { id } => {
                term.lose(*id as u64 + 1);
                term.unsealed.remove(&SessionId(*id as u64 + 1));
            }
            Step::Trouble => {
                term.link.failed(term.start + SECOND * second);
                trouble = Some(second);
            }
            Step::Silence { seconds } => {
                second += seconds;
                if *seconds > 1 {
                    trouble = Some(second);
                }
            }
            Step::Time { seconds: some } => seconds = *some,
        }
        for _ in 0..=seconds {
            second += 1;
            term.link.arrived(term.start + SECOND * second);
            for view in &term.registered {
                let of = &mut known[view.id.0 as usize - 1];
                (of.registered, of.answered) = (second, None);
            }
            let asked = term.round(second, &[]);
            for suspect in asked.into_iter().filter(|suspect| suspect.why != Suspicion::Found) {
                let of = &mut known[suspect.id.0 as usize - 1];
                assert!(!of.condemned && term.unsealed.contains_key(&suspect.id));
                let due = of.due(trouble);
                assert!(second >= due, "{suspect:?} at {second}, not before {due}");
                assert!(second <= due + 2, "{suspect:?} at {second}, due at {due}");
                if luck % 3 == 0 {
                    of.answered = Some(second);
                    term.hear(second, &suspect, Probed::Answers);
                } else {
                    of.condemned = true;
                    term.condemn(&suspect);
                }
            }
            let brokers = term.brokers(second, &[1, 2, 3]);
            for node in 1..4 {
                let of = |view: &&SessionView| view.session.node == NodeId(node);
                let alive = term.registered.iter().any(|view| of(&view));
                let newest = known.iter().rev().find(|of| of.node == node);
                let condemned = newest.is_some_and(|of| of.condemned);
                let is = brokers.contains(&NodeId(node));
                assert!(is || !alive, "node {node} is alive");
                assert!(!is || alive || !condemned, "node {node} is condemned");
            }
        }
    }
}

proptest! {
    #[test]
    fn who_is_condemned_was_away_for_long_enough(steps in steps()) {
        check(&steps);
    }
}
