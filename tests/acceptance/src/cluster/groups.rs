//! Many groups with many offsets while their coordinator dies, or while brokers have no time.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use weir_test_support::wait::{self, Stopwatch};
use weir_test_support::{Admin, Burners};

use super::members::{Beat, Members};
use super::{BROKERS, Report, Scene, Setting, Spread, TOPIC, TrafficSettings};

/// They are not to wait for members that come later: two hundred groups one after the other.
const FORM_AT_ONCE: &str = "initial_rebalance_delay_ms = 200";
/// How many threads look after the groups.
const THREADS: usize = 8;
/// How long groups may take to go on.
const GONE_ON: Duration = Duration::from_secs(60);
/// How often a group that can't go on tries again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long heartbeats are measured.
const MEASURED: Duration = Duration::from_secs(20);

/// Groups and what they have committed.
#[derive(Clone, Copy, Debug)]
pub struct Groups {
    /// How many.
    pub groups: usize,
    /// Members of each.
    pub members: usize,
    /// Offsets that each commits: so many partitions the topic must have.
    pub offsets: usize,
    /// The load beside them.
    pub load: TrafficSettings,
}

impl Groups {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let mut setting = setting.clone();
        setting.sections.push(("groups".to_owned(), FORM_AT_ONCE.to_owned()));
        let mut scene = Scene::start(&setting, self.load)?;
        let proxies: Vec<SocketAddr> = scene.cluster.proxies().into_values().collect();
        let mut groups = self.form(&proxies)?;
        for (number, group) in groups.iter_mut().enumerate() {
            group.commit(TOPIC, &self.offsets_of(number))?;
        }
        let usually = beat_for(&mut groups, MEASURED)?;
        let burners = Burners::start(scene.cluster.process_ids(&BROKERS)?)?;
        let busy = beat_for(&mut groups, MEASURED)?;
        burners.stop()?;
        let victim = scene.operator().controller()?;
        let other = if victim == 6 { 7 } else { 6 };
        eprintln!("heartbeats took {usually}; with brokers that have no time {busy}");
        // First the one that is no controller; then, when it is back, the one that is.
        let mut gone_on = Vec::new();
        for victim in [other, victim] {
            scene.cluster.kill9(victim)?;
            let took = all_go_on(&mut groups)?;
            eprintln!("coordinator {victim} killed: groups go on after {took}");
            gone_on.push(took);
            self.check_offsets(&proxies)?;
            scene.cluster.launch(victim)?;
            scene.cluster.wait_until_ready(victim)?;
            // Groups may move again now.
            all_go_on(&mut groups)?;
        }
        self.check_offsets(&proxies)?;
        let outcome = scene.finish()?;
        let figures = format!(
            "{} groups of {} members, {} offsets: heartbeats {usually}; with brokers that have no time {busy}; \
             after a coordinator was killed all go on, none forms anew, no offset is lost: {}; the same with \
             the controller: {}",
            self.groups,
            self.members,
            self.groups * self.offsets,
            gone_on[0],
            gone_on[1]
        );
        Ok(Report::new(figures, outcome.verdict))
    }

    fn form(&self, proxies: &[SocketAddr]) -> Result<Vec<Members>> {
        let addresses: Vec<SocketAddr> =
            proxies.iter().copied().cycle().take(self.members).collect();
        let numbers: Vec<usize> = (0..self.groups).collect();
        let share = self.groups.div_ceil(THREADS);
        std::thread::scope(|scope| {
            let forming = numbers.chunks(share).map(|numbers| {
                let addresses = &addresses;
                scope.spawn(move || -> Result<Vec<Members>> {
                    numbers.iter().map(|it| Members::form(&name(*it), addresses)).collect()
                })
            });
            let forming: Vec<_> = forming.collect();
            let mut all = Vec::new();
            for formed in forming {
                all.extend(formed.join().expect("no thread panics")?);
            }
            Ok(all)
        })
    }

    fn offsets_of(&self, group: usize) -> Vec<i64> {
        (0..self.offsets).map(|partition| (group * 1_000 + partition) as i64).collect()
    }

    fn check_offsets(&self, proxies: &[SocketAddr]) -> Result<()> {
        let mut admin = Admin::connect(proxies[0])?;
        for number in 0..self.groups {
            let found = admin.committed(&name(number), TOPIC, self.offsets as i32)?;
            ensure!(found == self.offsets_of(number), "offsets of {} are lost", name(number));
        }
        Ok(())
    }
}

fn name(number: usize) -> String {
    format!("group-{number}")
}

/// Each group in turn, on a few threads.
fn with_all<T: Send>(
    groups: &mut [Members],
    each: impl Fn(&mut Members) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let share = groups.len().div_ceil(THREADS);
    std::thread::scope(|scope| {
        let each = &each;
        let running = groups.chunks_mut(share).map(|groups| {
            scope.spawn(move || groups.iter_mut().map(each).collect::<Result<Vec<T>>>())
        });
        let running: Vec<_> = running.collect();
        let mut all = Vec::new();
        for done in running {
            all.extend(done.join().expect("no thread panics")?);
        }
        Ok(all)
    })
}

/// Signs of life of all members for so long: how long each took.
fn beat_for(groups: &mut [Members], time: Duration) -> Result<Spread> {
    let (clock, mut took) = (Stopwatch::start(), Vec::new());
    while clock.elapsed() < time {
        let beats = with_all(groups, Members::beat)?;
        took.extend(beats.into_iter().flat_map(|beat| match beat {
            Beat::All(took) => took,
            Beat::Again => Vec::new(),
        }));
    }
    Ok(Spread::of(took))
}

/// Waits until all members of all groups are told that they are: how long that takes from now.
fn all_go_on(groups: &mut [Members]) -> Result<Spread> {
    let clock = Stopwatch::start();
    let gone_on = with_all(groups, |group| {
        loop {
            match group.beat()? {
                Beat::All(_) => return Ok(clock.elapsed()),
                Beat::Again => wait::let_pass(AGAIN),
            }
            ensure!(clock.elapsed() < GONE_ON, "a group does not go on");
        }
    })?;
    Ok(Spread::of(gone_on))
}
