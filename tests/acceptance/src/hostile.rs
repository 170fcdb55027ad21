//! Frames that no client sends: the answer is an error or a closed connection, the server lives on, and
//! its memory stays where it was.

use std::fmt;

use anyhow::{Context, Result, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use weir_test_support::Server;
use weir_test_support::wire::{Connection, encode};

use crate::chance::Chance;
use crate::table::mib;

/// Memory that a server may take for all of it, over what it had when warm.
const GROWTH_BYTES: u64 = 64 << 20;
/// The largest version of a request that random bodies claim.
const VERSIONS: u64 = 20;
/// Request keys that random bodies claim: those that exist and some beyond.
const KEYS: u64 = 100;

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    frames: u32,
    before_bytes: u64,
    peak_bytes: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, peak) = (mib(self.before_bytes), mib(self.peak_bytes));
        write!(f, "{} hostile frames survived; memory {before} before, {peak} at most", self.frames)
    }
}

/// Sends `rounds` of each kind of hostile frame.
///
/// # Errors
/// When the server dies, hangs, or its memory grows.
pub fn run(server: &Server, rounds: u32, seed: u64) -> Result<Report> {
    let mut chance = Chance::new(seed);
    let mut frames = 0;
    // The first round warms the server up: code, threads and buffers that stay.
    let mut before = server.usage()?.rss_bytes;
    for round in 0..=rounds {
        for (name, attack) in ATTACKS {
            attack(server, &mut chance).with_context(|| {
                format!("{name} in round {round} of seed {seed}: {}", server.name())
            })?;
            let alive = Connection::open(server.address()).is_ok_and(|mut it| it.is_served());
            ensure!(alive, "{name} in round {round} of seed {seed} stopped the server");
            frames += 1;
        }
        if round == 0 {
            before = server.usage()?.rss_bytes;
        }
    }
    let peak = server.usage()?.peak_rss_bytes;
    // A Java heap grows towards its limit whatever it is sent.
    let bounded = server.name() == "kafka" || peak <= before + GROWTH_BYTES;
    ensure!(bounded, "memory went from {} to {}", mib(before), mib(peak));
    Ok(Report { frames, before_bytes: before, peak_bytes: peak })
}

type Attack = fn(&Server, &mut Chance) -> Result<()>;

const ATTACKS: [(&str, Attack); 8] = [
    ("a frame of random bytes", random_frame),
    ("random bytes without a frame", random_bytes),
    ("a known request with a random body", random_body),
    ("a claimed size of 2 GiB", claimed_size),
    ("a negative size", negative_size),
    ("a claim of two billion topics", two_billion_topics),
    ("a claim of two billion topics, compact", two_billion_compact),
    ("a frame that stops in the middle", half_frame),
];

fn random_frame(server: &Server, chance: &mut Chance) -> Result<()> {
    let count = usize::try_from(1 + chance.below(4_096))?;
    send_frame_and_finish(server, &chance.bytes(count))
}

fn random_bytes(server: &Server, chance: &mut Chance) -> Result<()> {
    let mut connection = Connection::open(server.address())?;
    // The connection may be closed before all is sent.
    let count = usize::try_from(1 + chance.below(4_096))?;
    let _ = connection.send_bytes(&chance.bytes(count));
    connection.finish()?;
    Ok(())
}

fn random_body(server: &Server, chance: &mut Chance) -> Result<()> {
    let mut content = BytesMut::new();
    content.put_u16(chance.below(KEYS) as u16);
    content.put_u16(chance.below(VERSIONS) as u16);
    content.put_i32(1);
    content.put_i16(-1);
    let count = usize::try_from(chance.below(512))?;
    content.put_slice(&chance.bytes(count));
    send_frame_and_finish(server, &content)
}

fn claimed_size(server: &Server, chance: &mut Chance) -> Result<()> {
    claim(server, chance, i32::MAX)
}

fn negative_size(server: &Server, chance: &mut Chance) -> Result<()> {
    claim(server, chance, -1)
}

/// Claims a size; the server must not wait for it.
fn claim(server: &Server, chance: &mut Chance, size: i32) -> Result<()> {
    let mut connection = Connection::open(server.address())?;
    let mut bytes = BytesMut::new();
    bytes.put_i32(size);
    bytes.put_slice(&chance.bytes(100));
    connection.send_bytes(&bytes)?;
    let answer = connection.read_frame()?;
    ensure!(answer.is_none(), "it was answered");
    Ok(())
}

fn two_billion_topics(server: &Server, _: &mut Chance) -> Result<()> {
    let mut content = metadata_header(1);
    content.put_i32(2_000_000_000);
    content.put_slice(&[0, 1, b'a']);
    send_frame_and_finish(server, &content)
}

fn two_billion_compact(server: &Server, _: &mut Chance) -> Result<()> {
    let mut content = metadata_header(9);
    content.put_u8(0); // No tagged fields in the header.
    content.put_slice(&[0xff, 0xff, 0xff, 0xff, 0x07, 2, b'a', 0]);
    send_frame_and_finish(server, &content)
}

fn metadata_header(version: i16) -> BytesMut {
    let mut content = BytesMut::new();
    content.put_i16(3);
    content.put_i16(version);
    content.put_i32(1);
    content.put_i16(-1);
    content
}

fn half_frame(server: &Server, chance: &mut Chance) -> Result<()> {
    let frame = metadata_request()?;
    let mut connection = Connection::open(server.address())?;
    let keep = usize::try_from(1 + chance.below(frame.len() as u64 - 1))?;
    connection.send_bytes(&frame[..keep])?;
    let frames = connection.finish()?;
    ensure!(frames == 0, "it was answered");
    Ok(())
}

fn metadata_request() -> Result<Bytes> {
    let topic = MetadataRequestTopic::default()
        .with_name(Some(TopicName(StrBytes::from_static_str("nobody-has-created-this"))));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![topic]))
        .with_allow_auto_topic_creation(false);
    encode(9, 1, &request)
}

fn send_frame_and_finish(server: &Server, content: &[u8]) -> Result<()> {
    let mut connection = Connection::open(server.address())?;
    connection.send_frame(content)?;
    connection.finish()?;
    Ok(())
}
