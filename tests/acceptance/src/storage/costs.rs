//! What a span of time has cost: CPU by role, and requests to the store.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::Result;
use weir_test_support::Usage;

use super::site::Site;

/// What has been used up to a moment, or between two.
#[derive(Clone, Debug)]
pub(super) struct Costs {
    /// When, or how long.
    pub(super) time: Duration,
    /// CPU of all brokers.
    pub(super) brokers: Duration,
    pub(super) proxy: Duration,
    pub(super) store: Duration,
    /// CPU of this process, which is the clients.
    pub(super) client: Duration,
    requests: BTreeMap<String, u64>,
}

impl Costs {
    /// Up to now.
    pub(super) fn now(site: &Site) -> Result<Self> {
        let cpu = |nodes: &[u32]| -> Result<Duration> {
            Ok(site.cluster.usage(nodes)?.iter().map(|usage| usage.cpu).sum())
        };
        let store = site.store()?;
        Ok(Self {
            time: site.clock.elapsed(),
            brokers: cpu(&site.brokers)?,
            proxy: cpu(&[site.proxy])?,
            store: store.usage()?.cpu,
            client: Usage::of(std::process::id())?.cpu,
            requests: store.counts()?,
        })
    }

    /// Since an earlier moment, up to now.
    pub(super) fn since(site: &Site, before: &Self) -> Result<Self> {
        Self::now(site).map(|now| now.less(before))
    }

    fn less(mut self, before: &Self) -> Self {
        self.time -= before.time;
        self.brokers -= before.brokers;
        self.proxy -= before.proxy;
        self.store -= before.store;
        self.client -= before.client;
        for (kind, count) in &mut self.requests {
            *count = count.saturating_sub(before.requests(kind));
        }
        self
    }

    /// Both together.
    pub(super) fn add(&mut self, other: &Self) {
        self.time += other.time;
        self.brokers += other.brokers;
        self.proxy += other.proxy;
        self.store += other.store;
        self.client += other.client;
        for (kind, count) in &other.requests {
            *self.requests.entry(kind.clone()).or_default() += count;
        }
    }

    /// Nothing yet.
    pub(super) fn none() -> Self {
        let [time, brokers, proxy, store, client] = [Duration::ZERO; 5];
        Self { time, brokers, proxy, store, client, requests: BTreeMap::new() }
    }

    /// How many requests of a kind the store has had, or bytes.
    pub(super) fn requests(&self, kind: &str) -> u64 {
        self.requests.get(kind).copied().unwrap_or(0)
    }

    /// CPU of brokers in percent of one core.
    pub(super) fn broker_percent(&self) -> f64 {
        self.brokers.as_secs_f64() / self.time.as_secs_f64() * 100.0
    }

    /// By the GiB, of so many bytes.
    pub(super) fn a_gib(&self, bytes: u64) -> String {
        let gib = gib(bytes).max(f64::MIN_POSITIVE);
        let cpu = |time: Duration| time.as_secs_f64() / gib;
        format!(
            "CPU s/GiB: proxy {:.2}, brokers {:.2}, store {:.2}, client {:.2}; {:.0} gets and {:.2} GiB of them a GiB",
            cpu(self.proxy),
            cpu(self.brokers),
            cpu(self.store),
            cpu(self.client),
            self.requests("get") as f64 / gib,
            self.requests("get_bytes") as f64 / f64::from(1 << 30) / gib,
        )
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |time: Duration| time.as_secs_f64() / self.time.as_secs_f64() * 100.0;
        write!(
            f,
            "CPU in % of a core: brokers {:.1}, proxy {:.1}, store {:.1}, clients {:.1}; {} gets of {:.0} MiB/s",
            percent(self.brokers),
            percent(self.proxy),
            percent(self.store),
            percent(self.client),
            self.requests("get"),
            rate(self.requests("get_bytes"), self.time),
        )
    }
}

/// Bytes as GiB.
pub(super) fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// MiB a second.
pub(super) fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / f64::from(1 << 20) / time.as_secs_f64()
}
