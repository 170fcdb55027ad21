//! A relay in front of a server, which spoils what passes through it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Result;

const BUFFER: usize = 256 << 10;

/// Replaces a word in what clients send to a server. Nobody is let in any more once it is dropped.
#[derive(Debug)]
pub struct Relay {
    here: SocketAddr,
    over: Arc<AtomicBool>,
}

/// What is replaced by what, of the same length.
#[derive(Clone, Copy)]
struct Word(&'static [u8], &'static [u8]);

impl Relay {
    /// One to the server at `to`, which replaces `word`, in whatever case, by `other`, which is as long.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(to: SocketAddr, word: &'static [u8], other: &'static [u8]) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (here, over) = (listener.local_addr()?, Arc::new(AtomicBool::new(false)));
        let ends = Arc::clone(&over);
        let accepts = thread::Builder::new().name("relay".to_owned());
        accepts.spawn(move || {
            for client in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                // One that can't be passed on is closed.
                let _ = client.and_then(|client| relay(client, to, Word(word, other)));
            }
        })?;
        Ok(Self { here, over })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.here
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // It sits in accept.
        let _ = TcpStream::connect(self.here);
    }
}

fn relay(client: TcpStream, to: SocketAddr, word: Word) -> std::io::Result<()> {
    let server = TcpStream::connect(to)?;
    let (from_server, to_client) = (server.try_clone()?, client.try_clone()?);
    let there = thread::Builder::new().name("relay-there".to_owned());
    there.spawn(move || pass(client, server, |bytes| word.replace_in(bytes)))?;
    let back = thread::Builder::new().name("relay-back".to_owned());
    back.spawn(move || pass(from_server, to_client, |_| {}))?;
    Ok(())
}

fn pass(mut from: TcpStream, mut to: TcpStream, spoil: impl Fn(&mut [u8])) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        spoil(&mut buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

impl Word {
    fn replace_in(self, bytes: &mut [u8]) {
        let Self(word, other) = self;
        let mut start = 0;
        while let Some(part) = bytes.get_mut(start..start + word.len()) {
            if part.eq_ignore_ascii_case(word) {
                part.copy_from_slice(other);
            }
            start += 1;
        }
    }
}
