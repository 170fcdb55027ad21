//! Runs the models and tells what was found.

use std::{fmt::Debug, time::Duration};

use crate::{
    checker::{Bounds, Found, Model, explore},
    owners::{self, Owners},
    slots::{self, Slots},
};

/// Above this many states a scope is too large for the memory it may take.
const STATES_MAX: usize = 40_000_000;

/// A model with a bug planted, and the property that must catch it.
struct Planted<M> {
    name: String,
    property: &'static str,
    model: M,
}

/// What is done with each planted bug.
trait Visit {
    fn visit<M: Model>(&mut self, planted: &Planted<M>);
}

fn every_bug(visit: &mut impl Visit) {
    for (bug, property) in slots::Bug::ALL {
        let model = Slots { bug: Some(*bug), ..Slots::SMALL };
        visit.visit(&Planted { name: name(bug), property, model });
    }
    for (bug, property, scope) in owners::Bug::ALL {
        let model = Owners { bug: Some(*bug), ..*scope };
        visit.visit(&Planted { name: name(bug), property, model });
    }
}

/// `NoFence` is `no-fence` for people.
fn name(bug: &impl Debug) -> String {
    let mut name = String::new();
    for letter in format!("{bug:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// Explores every model without a bug; true if nothing is wrong.
pub(crate) fn clean(small: bool) -> bool {
    if small {
        return scopes("slots", &[Slots::SMALL]).is_some()
            & scopes("owners", &[Owners::SMALL]).is_some();
    }
    let never = [scopes("owners", Owners::FULL), scopes("slots", Slots::FULL)];
    never.iter().all(|never| never.as_ref().is_some_and(Vec::is_empty))
}

/// Explores a model in several scopes. Returns the events that happened in none of them; nothing if a
/// property was violated, or a scope not exhausted.
fn scopes<M: Model + Debug>(title: &str, models: &[M]) -> Option<Vec<&'static str>> {
    let mut never = M::EVENTS.to_vec();
    let mut fine = true;
    for model in models {
        println!("{title}: {model:?}");
        let found = one(model);
        never.retain(|event| found.unseen_events.contains(event));
        fine &= found.exhausted && found.violated.is_empty();
    }
    println!("{title}: {} of {} events happened", M::EVENTS.len() - never.len(), M::EVENTS.len());
    for event in &never {
        println!("  NEVER     {event}");
    }
    fine.then_some(never)
}

fn one<M: Model>(model: &M) -> Found {
    let watch = Stopwatch::start();
    let found = explore(model, &Bounds { states_max: STATES_MAX, until: None });
    println!(
        "  {} states, {} transitions, depth {}, {:.1?}{}",
        found.states,
        found.transitions,
        found.depth,
        watch.elapsed(),
        if found.exhausted { ", exhausted" } else { ", NOT EXHAUSTED" }
    );
    for property in model.properties() {
        match found.violated.get(property.name) {
            None => println!("  holds     {}", property.name),
            Some(trace) => {
                println!("  VIOLATED  {} after {} steps:", property.name, trace.len());
                tell(trace);
            }
        }
    }
    found
}

/// Plants every bug; true if each is caught by the property that is named for it.
pub(crate) fn planted() -> bool {
    struct Table(bool);
    impl Visit for Table {
        fn visit<M: Model>(&mut self, planted: &Planted<M>) {
            let bounds = Bounds { states_max: STATES_MAX, until: Some(planted.property) };
            let found = explore(&planted.model, &bounds);
            let Planted { name, property, .. } = planted;
            match found.violated.get(property) {
                Some(trace) => {
                    println!(
                        "{name:36} {property:30} {:>5} steps, {} states",
                        trace.len(),
                        found.states
                    );
                }
                None => println!("{name:36} {property:30} NOT CAUGHT in {} states", found.states),
            }
            self.0 &= found.violated.contains_key(property);
        }
    }
    let mut table = Table(true);
    every_bug(&mut table);
    table.0
}

/// Plants the bug of this name and tells a shortest trace to the property that it breaks.
pub(crate) fn explain(wanted: &str) -> bool {
    struct Explained<'a> {
        wanted: &'a str,
        caught: bool,
        names: Vec<String>,
    }
    impl Visit for Explained<'_> {
        fn visit<M: Model>(&mut self, planted: &Planted<M>) {
            self.names.push(planted.name.clone());
            if planted.name != self.wanted {
                return;
            }
            let bounds = Bounds { states_max: STATES_MAX, until: Some(planted.property) };
            let found = explore(&planted.model, &bounds);
            if let Some(trace) = found.violated.get(planted.property) {
                println!("{} breaks {} in {} steps:", self.wanted, planted.property, trace.len());
                tell(trace);
                self.caught = true;
            }
        }
    }
    let mut explained = Explained { wanted, caught: false, names: Vec::new() };
    every_bug(&mut explained);
    if !explained.names.iter().any(|name| name == wanted) {
        eprintln!("no bug is called {wanted}; there are:\n  {}", explained.names.join("\n  "));
    }
    explained.caught
}

fn tell(trace: &[String]) {
    for (number, step) in trace.iter().enumerate() {
        println!("  {:>3}. {step}", number + 1);
    }
}

/// How long a person waited.
struct Stopwatch(std::time::Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "how long a person waits is real time")]
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
