//! A connection to a pod that carries one HTTP/1 request at a time.
//!
//! It has no task of its own: whoever waits for the answer drives it, so that a request is read, sent, answered and
//! passed on within one task and no wake-up between tasks is spent. While idle nobody drives it; that
//! the pod closed it meanwhile is seen when it is taken up again.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::stream::Stream;
use crate::proxy::forward::upload::Upload;
use crate::proxy::guard::http1;
use crate::proxy::guard::response::{Fault, HeadGate, Tap};
use crate::proxy::settings::Limits;

type Io = TokioIo<Tap<Stream>>;
/// What a request that could not be sent comes back in.
pub(crate) type Unsent = TrySendError<Request<Upload>>;

/// What hyper reads of a body together with the longest head.
const HEAD_SLACK: usize = 8 << 10;

/// The connection.
pub(crate) struct Link {
    sender: SendRequest<Upload>,
    connection: Connection<Io, Upload>,
    /// Reads the heads of answers before hyper does.
    gate: Arc<HeadGate>,
    /// The connection has ended and must not be polled again.
    ended: bool,
    /// How many answers came over it.
    answers: u64,
    /// When it was put aside.
    idle_since: Instant,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("answers", &self.answers).finish_non_exhaustive()
    }
}

impl Link {
    /// Speaks HTTP/1.1 over `stream`.
    ///
    /// # Errors
    /// None for HTTP/1, as nothing is sent.
    pub(crate) async fn new(stream: Stream, limits: &Limits) -> hyper::Result<Box<Self>> {
        let tap = Tap::new(stream, heads(limits));
        let gate = tap.gate();
        let (sender, connection) = Builder::new()
            .max_headers(limits.headers)
            .max_buf_size(limits.head_bytes + HEAD_SLACK)
            .handshake(TokioIo::new(tap))
            .await?;
        let idle_since = Instant::now();
        // Boxed, as it changes hands with every request.
        Ok(Box::new(Self { sender, connection, gate, ended: false, answers: 0, idle_since }))
    }

    /// Why the connection failed, if it was for what the pod said.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.gate.fault()
    }

    /// Tells later why the connection failed, if it was for what the pod said.
    pub(crate) fn gate(&self) -> Arc<HeadGate> {
        self.gate.clone()
    }

    pub(crate) fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// The request comes back when nothing of it was sent.
    pub(crate) fn send(
        &mut self,
        request: Request<Upload>,
    ) -> impl Future<Output = Result<Response<Incoming>, Unsent>> {
        let Self { sender, connection, gate, ended, answers, .. } = self;
        gate.expect();
        // Handed over here, so that the future does not carry the request about.
        let sending = sender.try_send_request(request);
        async move {
            let mut sending = pin!(sending);
            let answer = poll_fn(|cx| {
                drive(connection, ended, cx);
                sending.as_mut().poll(cx)
            })
            .await?;
            *answers += 1;
            Ok(answer)
        }
    }

    /// The next piece of the answer's body.
    pub(crate) fn poll_body(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // Asking first tells the connection that there is someone to read for.
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        drive(&mut self.connection, &mut self.ended, cx);
        Pin::new(body).poll_frame(cx)
    }

    /// Whether another request can be sent, once the answer was read to its end.
    ///
    /// Not when the pod is about to close, sent more than one answer, or answered before the request was whole.
    pub(crate) fn is_reusable(&mut self, cx: &mut Context<'_>) -> bool {
        drive(&mut self.connection, &mut self.ended, cx);
        self.idle_since = Instant::now();
        !self.ended && self.sender.is_ready()
    }

    /// Whether it is still open, as far as the kernel has told us.
    pub(crate) fn is_open(&mut self) -> bool {
        self.is_reusable(&mut Context::from_waker(Waker::noop()))
    }

    /// The parts, for a request that may turn it into something else.
    pub(crate) fn into_parts(self) -> (SendRequest<Upload>, Connection<Io, Upload>) {
        self.gate.expect();
        (self.sender, self.connection)
    }
}

fn drive(connection: &mut Connection<Io, Upload>, ended: &mut bool, cx: &mut Context<'_>) {
    // How it ended is told to whoever waits for the answer or its body.
    if !*ended && Pin::new(connection).poll(cx).is_ready() {
        *ended = true;
    }
}

fn heads(limits: &Limits) -> http1::Limits {
    http1::Limits {
        head_bytes: limits.head_bytes,
        headers: limits.headers,
        target_bytes: limits.head_bytes,
    }
}
