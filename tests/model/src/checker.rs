//! Explores every state of a model, breadth first.
//!
//! Owns the search and nothing of what is searched. A state is kept whole only while it waits to be
//! expanded; of those seen before, 64 bits remain (hash compaction: with n states the chance that any
//! was mistaken for another is about n²/2⁶⁵, one in 30,000 at 30 million). A trace is found again by
//! repeating the steps from the start, so every model must be deterministic: the same state gives the
//! same steps in the same order.
//!
//! Breadth first, so that the first violation found of a property is one of the shortest.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Display,
    hash::{BuildHasherDefault, Hash, Hasher},
};

/// What is explored.
pub(crate) trait Model: 'static {
    type State: Clone + Eq + Hash;
    type Step: Display;

    /// Things that must happen somewhere, else the model shows nothing: at most 64.
    const EVENTS: &'static [&'static str];

    fn initial(&self) -> Self::State;

    /// Everything that can happen next.
    fn steps(&self, state: &Self::State, out: &mut Steps<Self::State, Self::Step>);

    /// What must hold in every state.
    fn properties(&self) -> &'static [Property<Self>]
    where
        Self: Sized;
}

/// Something that must hold in every state.
pub(crate) struct Property<M: Model> {
    pub(crate) name: &'static str,
    pub(crate) holds: fn(&M, &M::State) -> bool,
}

/// The steps that leave a state.
pub(crate) struct Steps<S, A> {
    list: Vec<(A, S)>,
    events: u64,
}

impl<S, A> Steps<S, A> {
    fn new() -> Self {
        Self { list: Vec::new(), events: 0 }
    }

    pub(crate) fn push(&mut self, step: A, state: S) {
        self.list.push((step, state));
    }

    /// Notes that the event of this number happens on one of the steps.
    pub(crate) fn saw(&mut self, event: usize) {
        self.events |= 1 << event;
    }
}

/// How far to go.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Give up above this many states: a model that was meant to be small is not.
    pub(crate) states_max: usize,
    /// Ends at the first violation of this property; without one, at the first of any.
    pub(crate) until: Option<&'static str>,
}

/// What was found.
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) transitions: u64,
    pub(crate) depth: usize,
    /// Every state was seen.
    pub(crate) exhausted: bool,
    /// The properties violated, each with a shortest trace in words.
    pub(crate) violated: BTreeMap<&'static str, Vec<String>>,
    pub(crate) unseen_events: Vec<&'static str>,
}

/// From where and by which of the steps a state was first reached.
type Origin = (u32, u16);

const NO_ORIGIN: Origin = (u32::MAX, u16::MAX);

/// The state that `story` leads to, each line of it a step in words.
#[cfg(test)]
pub(crate) fn follow<M: Model>(model: &M, story: &[&str]) -> M::State {
    let mut state = model.initial();
    for line in story {
        let mut steps = Steps::new();
        model.steps(&state, &mut steps);
        let possible: Vec<String> = steps.list.iter().map(|(step, _)| step.to_string()).collect();
        let taken = steps.list.into_iter().find(|(step, _)| step.to_string() == *line);
        let Some((_, next)) = taken else { panic!("`{line}` can't happen, but {possible:#?}") };
        state = next;
    }
    state
}

struct Search<'a, M: Model> {
    model: &'a M,
    seen: HashSet<u64, BuildHasherDefault<Identity>>,
    origins: Vec<Origin>,
    violated: BTreeMap<&'static str, u32>,
}

/// Explores `model` within `bounds`.
pub(crate) fn explore<M: Model>(model: &M, bounds: &Bounds) -> Found {
    let mut search =
        Search { model, seen: HashSet::default(), origins: Vec::new(), violated: BTreeMap::new() };
    let mut steps = Steps::new();
    let (mut transitions, mut depth) = (0, 0);
    let mut level: Vec<(u32, M::State)> =
        search.visit(model.initial(), NO_ORIGIN).into_iter().collect();
    let mut next_level = Vec::new();
    let mut ended = search.is_over(bounds);
    while !level.is_empty() && !ended {
        for (at, state) in level.drain(..) {
            model.steps(&state, &mut steps);
            for (number, (_, next)) in steps.list.drain(..).enumerate() {
                transitions += 1;
                next_level.extend(search.visit(next, (at, number as u16)));
            }
            ended = search.is_over(bounds);
            if ended {
                break;
            }
        }
        depth += usize::from(!next_level.is_empty());
        std::mem::swap(&mut level, &mut next_level);
    }
    let unseen = |event: &usize| steps.events & (1 << event) == 0;
    let violated = search.violated.iter();
    Found {
        states: search.origins.len(),
        transitions,
        depth,
        exhausted: !ended,
        violated: violated.map(|(name, at)| (*name, search.trace(*at))).collect(),
        unseen_events: (0..M::EVENTS.len()).filter(unseen).map(|event| M::EVENTS[event]).collect(),
    }
}

impl<M: Model> Search<'_, M> {
    /// Notes a state; returns it if it is new and must be expanded.
    fn visit(&mut self, state: M::State, origin: Origin) -> Option<(u32, M::State)> {
        if !self.seen.insert(Folding::of(&state)) {
            return None;
        }
        let at = self.origins.len() as u32;
        self.origins.push(origin);
        for property in self.model.properties() {
            if !(property.holds)(self.model, &state) {
                self.violated.entry(property.name).or_insert(at);
            }
        }
        Some((at, state))
    }

    fn is_over(&self, bounds: &Bounds) -> bool {
        self.origins.len() >= bounds.states_max
            || match bounds.until {
                Some(name) => self.violated.contains_key(name),
                None => !self.violated.is_empty(),
            }
    }

    fn trace(&self, mut at: u32) -> Vec<String> {
        let mut numbers = Vec::new();
        while self.origins[at as usize] != NO_ORIGIN {
            let (before, number) = self.origins[at as usize];
            numbers.push(usize::from(number));
            at = before;
        }
        let mut state = self.model.initial();
        let mut words = Vec::with_capacity(numbers.len());
        for number in numbers.into_iter().rev() {
            let mut steps = Steps::new();
            self.model.steps(&state, &mut steps);
            let (step, next) = steps.list.swap_remove(number);
            words.push(step.to_string());
            state = next;
        }
        words
    }
}

/// A hash by folded multiplication. States are small numbers, many of them, and the standard hash takes
/// longer than making them: bytes are gathered into words first.
#[derive(Default)]
pub(crate) struct Folding {
    hash: u64,
    word: u64,
    bits: u32,
}

impl Folding {
    /// The hash of a value.
    pub(crate) fn of(value: &impl Hash) -> u64 {
        let mut hasher = Self::default();
        value.hash(&mut hasher);
        hasher.finish()
    }

    fn add(&mut self, word: u64) {
        let mixed = self.hash ^ word ^ 0x9e37_79b9_7f4a_7c15;
        let product = u128::from(mixed) * 0xd6e8_feb8_6659_fd93_u128;
        self.hash = (product as u64) ^ ((product >> 64) as u64) ^ self.hash.rotate_left(29);
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    fn write_u8(&mut self, value: u8) {
        self.word |= u64::from(value) << self.bits;
        self.bits += 8;
        if self.bits == 64 {
            let word = std::mem::take(&mut self.word);
            self.bits = 0;
            self.add(word);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.add(value);
    }

    /// Discriminants and lengths.
    fn write_usize(&mut self, value: usize) {
        match u8::try_from(value) {
            Ok(value) => self.write_u8(value),
            Err(_) => self.add(value as u64),
        }
    }

    fn finish(&self) -> u64 {
        let mut last = Self { hash: self.hash, ..Self::default() };
        last.add(self.word);
        last.add(u64::from(self.bits) ^ 0x2545_f491_4f6c_dd1d);
        last.hash
    }
}

/// What is stored is a hash already.
#[derive(Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two counters that go round; never both at their last value, unless `broken`.
    struct Counters {
        broken: bool,
    }

    impl Model for Counters {
        type State = (u8, u8);
        type Step = String;
        const EVENTS: &'static [&'static str] = &["round", "never"];

        fn initial(&self) -> (u8, u8) {
            (0, 0)
        }

        fn steps(&self, &(left, right): &(u8, u8), out: &mut Steps<(u8, u8), String>) {
            for next in [((left + 1) % 5, right), (left, (right + 1) % 5)] {
                if next == (0, 0) {
                    out.saw(0);
                }
                if self.broken || next != (4, 4) {
                    out.push(format!("to {next:?}"), next);
                }
            }
        }

        fn properties(&self) -> &'static [Property<Self>] {
            &[Property { name: "not_both_last", holds: |_, state| *state != (4, 4) }]
        }
    }

    const BOUNDS: Bounds = Bounds { states_max: 1000, until: None };

    #[test]
    fn all_states_are_seen_once() {
        let found = explore(&Counters { broken: false }, &BOUNDS);
        assert_eq!((found.states, found.depth, found.exhausted), (24, 7, true));
        assert!(found.violated.is_empty());
        assert_eq!(found.unseen_events, ["never"]);
    }

    #[test]
    fn the_first_violation_is_a_shortest_one() {
        let found = explore(&Counters { broken: true }, &BOUNDS);
        let trace = &found.violated["not_both_last"];
        assert_eq!((trace.len(), trace[7].as_str()), (8, "to (4, 4)"));
        assert!(!found.exhausted);
    }
}
