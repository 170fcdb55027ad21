//! Judges what clients saw of a server that was killed again and again.
//!
//! Each written value is unique. A [`History`] is what was seen, without any interpretation: values
//! handed to a producer, places acknowledged, records that consumers polled, commits that were
//! acknowledged or read back, and in the end every record of every partition. [`History::check`] tells
//! each promise that was broken. It knows no clock and no server, and is shown by its tests to catch
//! histories made bad by hand.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// A value, unique in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    /// Who wrote it.
    pub writer: u8,
    /// Which of the writer's values, in the order in which they were handed to the producer.
    pub number: u64,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.writer, self.number)
    }
}

/// A place in the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.partition, self.offset)
    }
}

/// A record as a consumer saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where.
    pub place: Place,
    /// What.
    pub value: Value,
}

/// What was seen of a group's committed offset, in the order in which it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The partition and the committed offset.
    pub place: Place,
    /// Whether it was read back; otherwise it was acknowledged.
    pub read_back: bool,
}

/// A writer, by its promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writer {
    /// No value twice, and in order within a partition.
    pub idempotent: bool,
    /// How many values it has handed to its producer.
    pub sent: u64,
}

/// All that was seen of one topic in one run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The writers; a value's `writer` is an index into it.
    pub writers: Vec<Writer>,
    /// Values with the places at which they were acknowledged.
    pub acknowledged: Vec<Seen>,
    /// For each consumer what it polled during the run, in its order.
    pub polls: Vec<Vec<Seen>>,
    /// What was seen of a group's commits.
    pub commits: Vec<Commit>,
    /// The first offset of each partition in the end.
    pub log_start: Vec<i64>,
    /// Every record in the end, partition by partition, in the order of reading.
    pub read: Vec<Seen>,
}

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An acknowledged value is not at its place.
    Lost {
        /// The value and its place.
        acknowledged: Seen,
        /// What is there instead.
        instead: Option<Value>,
    },
    /// Two values were acknowledged at one place.
    SharedPlace {
        /// The place.
        place: Place,
        /// Both values.
        values: [Value; 2],
    },
    /// A value of an idempotent writer is there twice.
    Duplicate {
        /// The value.
        value: Value,
        /// Both places.
        places: [Place; 2],
    },
    /// A value of an idempotent writer lies behind one that was sent later.
    Reordered {
        /// The later one.
        value: Value,
        /// Where the earlier one was found.
        earlier: Seen,
    },
    /// A value that nobody sent.
    Invented(Seen),
    /// The offset after one that was read is another than the next.
    Gap {
        /// Where reading went on.
        at: Place,
        /// The offset that was due.
        due: i64,
    },
    /// A consumer saw a record that is not there in the end, so it was never durable.
    Unsaid {
        /// What it saw.
        seen: Seen,
        /// What is there instead.
        instead: Option<Value>,
    },
    /// A group's committed offset went back.
    CommitWentBack {
        /// Where it is now.
        now: Place,
        /// Where it had been.
        was: i64,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instead = |value: &Option<Value>| match value {
            Some(value) => format!("{value} is there"),
            None => "nothing is there".to_owned(),
        };
        match self {
            Self::Lost { acknowledged: Seen { place, value }, instead: other } => {
                write!(f, "lost: {value} was acknowledged at {place}, {}", instead(other))
            }
            Self::SharedPlace { place, values: [one, two] } => {
                write!(f, "shared place: {one} and {two} were both acknowledged at {place}")
            }
            Self::Duplicate { value, places: [one, two] } => {
                write!(f, "duplicate: {value} is at {one} and at {two}")
            }
            Self::Reordered { value, earlier } => {
                write!(f, "reordered: {} at {} lies behind {value}", earlier.value, earlier.place)
            }
            Self::Invented(Seen { place, value }) => {
                write!(f, "invented: {value} at {place} was never sent")
            }
            Self::Gap { at, due } => write!(f, "gap: {at} was read where offset {due} was due"),
            Self::Unsaid { seen: Seen { place, value }, instead: other } => {
                write!(f, "unsaid: {value} was polled at {place}, in the end {}", instead(other))
            }
            Self::CommitWentBack { now, was } => {
                write!(f, "commit went back: to {now} from {was}")
            }
        }
    }
}

impl History {
    /// Every broken promise.
    pub fn check(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let at: HashMap<Place, Value> =
            self.read.iter().map(|seen| (seen.place, seen.value)).collect();
        self.check_dense(&self.read, Some(&self.log_start), &mut violations);
        self.check_sent(&mut violations);
        self.check_acknowledged(&at, &mut violations);
        for poll in &self.polls {
            self.check_dense(poll, None, &mut violations);
            self.check_polled(poll, &at, &mut violations);
        }
        self.check_commits(&mut violations);
        violations
    }

    /// Offsets are dense: from `start`, or else from where reading began.
    fn check_dense(&self, read: &[Seen], start: Option<&[i64]>, found: &mut Vec<Violation>) {
        let mut next: BTreeMap<i32, i64> =
            (0..).zip(start.into_iter().flatten().copied()).collect();
        for Seen { place, .. } in read {
            let due = *next.get(&place.partition).unwrap_or(&place.offset);
            if place.offset != due {
                found.push(Violation::Gap { at: *place, due });
            }
            next.insert(place.partition, place.offset + 1);
        }
    }

    /// What was read was sent, by idempotent writers once and in order.
    fn check_sent(&self, found: &mut Vec<Violation>) {
        let mut places: HashMap<Value, Place> = HashMap::new();
        let mut last: HashMap<(i32, u8), Value> = HashMap::new();
        for seen in &self.read {
            let Seen { place, value } = *seen;
            let writer = self.writers.get(usize::from(value.writer)).copied().unwrap_or_default();
            if value.number >= writer.sent {
                found.push(Violation::Invented(*seen));
            }
            if !writer.idempotent {
                continue;
            }
            if let Some(first) = places.insert(value, place) {
                found.push(Violation::Duplicate { value, places: [first, place] });
                continue;
            }
            let later = last.entry((place.partition, value.writer)).or_insert(value);
            if *later > value {
                found.push(Violation::Reordered { value: *later, earlier: *seen });
            }
            *later = value.max(*later);
        }
    }

    /// Each acknowledged value is at its place, alone.
    fn check_acknowledged(&self, at: &HashMap<Place, Value>, found: &mut Vec<Violation>) {
        let mut owners: HashMap<Place, Value> = HashMap::new();
        for acknowledged in &self.acknowledged {
            let Seen { place, value } = *acknowledged;
            if let Some(other) = owners.insert(place, value)
                && other != value
            {
                found.push(Violation::SharedPlace { place, values: [other, value] });
            }
            let there = at.get(&place).copied();
            if there != Some(value) {
                found.push(Violation::Lost { acknowledged: *acknowledged, instead: there });
            }
        }
    }

    /// What a consumer saw during the run is there in the end.
    fn check_polled(&self, poll: &[Seen], at: &HashMap<Place, Value>, found: &mut Vec<Violation>) {
        for seen in poll {
            let there = at.get(&seen.place).copied();
            if there != Some(seen.value) {
                found.push(Violation::Unsaid { seen: *seen, instead: there });
            }
        }
    }

    /// A committed offset never goes back.
    fn check_commits(&self, found: &mut Vec<Violation>) {
        let mut highest: BTreeMap<i32, i64> = BTreeMap::new();
        for Commit { place, .. } in &self.commits {
            let was = highest.entry(place.partition).or_insert(place.offset);
            if place.offset < *was {
                found.push(Violation::CommitWentBack { now: *place, was: *was });
            }
            *was = place.offset.max(*was);
        }
    }
}

#[cfg(test)]
mod tests;
