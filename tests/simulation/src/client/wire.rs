//! A client's connection to a proxy: frames out, answers in the order of the requests.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::{mpsc, oneshot},
    time::timeout,
};
use weir_ids::NodeId;
use weir_protocol::{Request, decode_response, encode_request};

use crate::{
    net::{Net, Place},
    process::Condition,
};

/// How much is on its way at most in one direction.
const SOCKET_BYTES: usize = 256 << 10;
/// What is forwarded at once.
const CHUNK_BYTES: usize = 64 << 10;
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// There is no answer: the connection has ended, or it took too long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone;

/// Those who wait for answers; `None` when none will come any more.
type Waiting = Arc<Mutex<Option<VecDeque<oneshot::Sender<Bytes>>>>>;

/// See the module.
pub(super) struct Wire {
    frames: mpsc::UnboundedSender<Bytes>,
    waiting: Waiting,
    correlation: AtomicI32,
    client_id: String,
}

/// An answer that is on its way.
pub(super) struct Answer<R: Request> {
    frame: Option<oneshot::Receiver<Bytes>>,
    version: i16,
    request: std::marker::PhantomData<R>,
}

impl Wire {
    /// Connects to the proxy on `node`.
    pub(super) async fn dial(net: &Net, node: NodeId, client: u16) -> Option<Arc<Self>> {
        let (here, there) = (Place::Clients, Place::Node(node));
        let dialling = async {
            net.travel(here, there).await;
            let host = net.host(node)?;
            let proxy = host.services().proxy?;
            if host.process.condition() == Condition::Dead {
                return None;
            }
            let (near, client_end) = duplex(SOCKET_BYTES);
            let (far, server_end) = duplex(SOCKET_BYTES);
            let [high, low] = client.to_be_bytes();
            let address = IpAddr::V4(Ipv4Addr::new(10, 0, high, low));
            proxy.connect(server_end, SocketAddr::new(address, 40_000));
            let ((near_in, near_out), (far_in, far_out)) = (split(near), split(far));
            let there_and_back = net.clone();
            crate::free(forward(there_and_back.clone(), near_in, far_out, here, there));
            crate::free(forward(there_and_back, far_in, near_out, there, here));
            net.travel(there, here).await;
            Some(client_end)
        };
        let stream = timeout(CONNECT_WITHIN, dialling).await.ok().flatten()?;
        Some(Self::over(stream, client))
    }

    fn over(stream: DuplexStream, client: u16) -> Arc<Self> {
        let (read, write) = split(stream);
        let (frames, to_write) = mpsc::unbounded_channel();
        let waiting: Waiting = Arc::new(Mutex::new(Some(VecDeque::new())));
        crate::free(write_all(write, to_write));
        crate::free(read_all(read, Arc::clone(&waiting)));
        let (correlation, client_id) = (AtomicI32::new(0), format!("client-{client}"));
        Arc::new(Self { frames, waiting, correlation, client_id })
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Ends it; nobody is answered any more.
    pub(super) fn end(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        // An empty frame tells the writer to hang up.
        let _ = self.frames.send(Bytes::new());
    }

    /// Sends a request; requests leave in the order of the calls.
    pub(super) fn send<R: Request>(&self, version: i16, request: &R) -> Answer<R> {
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed);
        let client_id = Some(self.client_id.as_str().into());
        let encoded = encode_request(version, correlation, client_id, request);
        let mut answer = Answer { frame: None, version, request: std::marker::PhantomData };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(encoded.is_ok(), "a request can't be encoded: {encoded:?}");
        if let (Ok(frame), Some(waiting)) = (encoded, &mut *waiting) {
            let (sender, receiver) = oneshot::channel();
            waiting.push_back(sender);
            answer.frame = Some(receiver);
            let _ = self.frames.send(frame.into_bytes());
        }
        answer
    }
}

impl<R: Request> Answer<R> {
    /// The answer, if it comes within `patience`.
    pub(super) async fn within(self, patience: Duration) -> Result<R::Response, Gone> {
        let frame = self.frame.ok_or(Gone)?;
        let frame = timeout(patience, frame).await.map_err(|_| Gone)?.map_err(|_| Gone)?;
        match decode_response(frame, self.version) {
            Ok((_, response)) => Ok(response),
            // A task that panics fails the run.
            Err(error) => panic!("an answer can't be decoded: {error}"),
        }
    }
}

async fn write_all(mut write: WriteHalf<DuplexStream>, mut frames: mpsc::UnboundedReceiver<Bytes>) {
    while let Some(frame) = frames.recv().await {
        if frame.is_empty() || write.write_all(&frame).await.is_err() {
            break;
        }
    }
    let _ = write.shutdown().await;
}

async fn read_all(mut read: ReadHalf<DuplexStream>, waiting: Waiting) {
    while let Some(frame) = read_frame(&mut read).await {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = waiting.as_mut().and_then(VecDeque::pop_front) else { break };
        let _ = first.send(frame);
    }
    waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
}

async fn read_frame(read: &mut ReadHalf<DuplexStream>) -> Option<Bytes> {
    let size = usize::try_from(read.read_i32().await.ok()?).ok()?;
    let mut frame = vec![0; size];
    read.read_exact(&mut frame).await.ok()?;
    Some(frame.into())
}

/// Carries bytes until either end hangs up.
async fn forward(
    net: Net,
    mut read: ReadHalf<DuplexStream>,
    mut write: WriteHalf<DuplexStream>,
    from: Place,
    to: Place,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = read.read(&mut chunk).await.unwrap_or(0);
        net.travel(from, to).await;
        if count == 0 || write.write_all(&chunk[..count]).await.is_err() {
            break;
        }
    }
    let _ = write.shutdown().await;
}
