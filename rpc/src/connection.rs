//! One connection. It is made once, and never again by itself.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tonic::transport::{Channel, Endpoint, Uri};
use weir_runtime::watch;

/// A connection that says nothing is pinged so often, and given up when no answer comes in time.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(1);
pub(crate) const PING_WITHIN: Duration = Duration::from_secs(2);
/// How much may be on its way, on a stream and in all.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 16 << 20;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;
/// The largest frame: records are large, and each frame costs.
pub(crate) const FRAME_BYTES_MAX: u32 = 1 << 20;

/// A connection to a node. Clones are the same.
#[derive(Clone)]
pub struct Connection {
    channel: Channel,
    broken: watch::Receiver<bool>,
}

impl Connection {
    /// Takes the other end of `stream` for a node, which has not said anything yet.
    pub(crate) async fn over(stream: TcpStream) -> Result<Self, tonic::transport::Error> {
        // A refusal shows later, as slowness.
        let _ = stream.set_nodelay(true);
        let broken = watch::Sender::new(false);
        let is_broken = broken.subscribe();
        let mut once = Some(TokioIo::new(Watched { stream, _broken: Breaks(broken) }));
        let connector = tower::service_fn(move |_: Uri| {
            let stream = once.take();
            async move { stream.ok_or_else(|| io::Error::other("the connection has broken")) }
        });
        // Nobody looks at the name: the stream is there already.
        let channel = Endpoint::from_static("http://weir")
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WITHIN)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .connect_with_connector(connector)
            .await?;
        Ok(Self { channel, broken: is_broken })
    }

    /// What a client of a service is made of.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Whether it has broken.
    pub fn is_broken(&self) -> bool {
        *self.broken.borrow()
    }

    /// Waits until it has broken.
    pub async fn broken(&self) {
        // Whoever could say so is gone only with the connection.
        let _ = self.broken.clone().wait_for(|broken| *broken).await;
    }
}

/// Says that the connection has broken once nothing uses its stream any more.
struct Breaks(watch::Sender<bool>);

impl Drop for Breaks {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// A stream of bytes that is missed when it is gone.
struct Watched {
    stream: TcpStream,
    _broken: Breaks,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
