//! Kafka's protocol byte by byte: a connection that sends what no well-behaved client would, or what
//! a client would but without its threads and its patience.
//!
//! Messages are encoded by the crate `kafka-protocol`, which shares nothing with Weir's own codec: if
//! both agree with a server, neither is wrong in the same way.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsRequest, MetadataRequest, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

/// How long a server may take for an answer.
const ANSWER: Duration = Duration::from_secs(60);
/// The largest answer that a test expects.
const MOST_BYTES: usize = 256 << 20;

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    correlation: i32,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        Ok(Self { stream, correlation: 0 })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When the connection ends or the answer can't be decoded.
    pub fn request<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        let correlation = self.send(version, request)?;
        self.receive::<R>(version, correlation)
    }

    /// Sends a request without waiting for its answer; gives its correlation id.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<i32> {
        self.correlation += 1;
        let frame = encode(version, self.correlation, request)?;
        self.stream.write_all(&frame)?;
        Ok(self.correlation)
    }

    /// Reads the answer to the request with this correlation id, which must be the next one.
    ///
    /// # Errors
    /// When the connection ends, or another answer comes.
    pub fn receive<R: Request>(&mut self, version: i16, correlation: i32) -> Result<R::Response> {
        let mut frame = self.read_frame()?.context("the server closed the connection")?;
        let header_version = R::Response::header_version(version);
        let header = ResponseHeader::decode(&mut frame, header_version)?;
        if header.correlation_id != correlation {
            bail!("answer {} came where {correlation} was due", header.correlation_id);
        }
        let answer = R::Response::decode(&mut frame, version)?;
        if frame.has_remaining() {
            bail!("{} bytes follow the answer", frame.remaining());
        }
        Ok(answer)
    }

    /// Whether something of the next answer has come, or the server has closed the connection.
    ///
    /// # Errors
    /// When the connection has broken.
    pub fn has_answer(&self) -> Result<bool> {
        self.stream.set_nonblocking(true)?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        match peeked {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until [`Self::has_answer`], for as long as `most`.
    ///
    /// # Errors
    /// When the connection has broken.
    pub fn await_answer(&self, most: Duration) -> Result<()> {
        self.stream.set_read_timeout(Some(most))?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(ANSWER))?;
        match peeked {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Sends bytes as the content of one frame.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn send_frame(&mut self, content: &[u8]) -> Result<()> {
        let mut frame = BytesMut::with_capacity(content.len() + 4);
        frame.put_i32(i32::try_from(content.len())?);
        frame.put_slice(content);
        self.send_bytes(&frame)
    }

    /// Reads the content of the next frame; none when the server closed the connection.
    ///
    /// # Errors
    /// When nothing comes in time, or the frame is cut short or beyond reason.
    pub fn read_frame(&mut self) -> Result<Option<Bytes>> {
        let mut size = [0; 4];
        match self.stream.read_exact(&mut size) {
            Ok(()) => {}
            Err(error) if is_closed(error.kind()) => return Ok(None),
            Err(error) => return Err(error).context("no answer"),
        }
        let size = usize::try_from(i32::from_be_bytes(size))?;
        if size > MOST_BYTES {
            bail!("an answer of {size} bytes");
        }
        let mut content = vec![0; size];
        self.stream.read_exact(&mut content).context("an answer that is cut short")?;
        Ok(Some(content.into()))
    }

    /// Says that nothing more will be sent, and reads on until the server closes the connection too;
    /// gives the number of frames that came before.
    ///
    /// # Errors
    /// When the server keeps the connection open.
    pub fn finish(mut self) -> Result<usize> {
        // It may be closed already, which is as good.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let mut frames = 0;
        while self.read_frame()?.is_some() {
            frames += 1;
        }
        Ok(frames)
    }

    /// Whether the server answers what every client begins with, and names itself.
    pub fn is_served(&mut self) -> bool {
        let versions = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("weir-test"))
            .with_client_software_version(StrBytes::from_static_str("1"));
        self.request(3, &versions).is_ok()
            && self
                .request(9, &MetadataRequest::default())
                .is_ok_and(|metadata| !metadata.brokers.is_empty())
    }
}

/// Encodes a request as the frame that goes onto the wire.
///
/// # Errors
/// When the request can't be said in that version.
pub fn encode<R: Request>(version: i16, correlation: i32, request: &R) -> Result<Bytes> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str("weir-test")));
    let mut content = BytesMut::new();
    header.encode(&mut content, R::header_version(version))?;
    request.encode(&mut content, version)?;
    let mut frame = BytesMut::with_capacity(content.len() + 4);
    frame.put_i32(i32::try_from(content.len())?);
    frame.put(content);
    Ok(frame.freeze())
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}
