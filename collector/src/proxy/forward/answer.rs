//! What the client is answered: by a pod, or by the proxy itself.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};

use super::download::{CutOff, Download};
use super::pace::Pace;
use crate::proxy::failure::Failure;
use crate::proxy::guard::verdict::Turn;
use crate::proxy::refusal::Refusal;

/// Says that an answer is the proxy's own, and why.
const REASON: HeaderName = HeaderName::from_static("podmeter-reason");

/// An answer's body that keeps its connection busy until its end.
pub(crate) struct Held {
    body: Answer,
    /// Of the stream that it goes over, where there are streams.
    pace: Option<Arc<Pace>>,
    _turn: Turn,
}

impl Held {
    pub(crate) fn new(body: Answer, turn: Turn) -> Self {
        Self { body, pace: Pace::of_this_task(), _turn: turn }
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let Some(pace) = self.pace.clone() else {
            return Pin::new(&mut self.body).poll_frame(cx);
        };
        pace.asked();
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            pace.took();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body.
pub(crate) enum Answer {
    /// The proxy's own.
    Own(Option<Bytes>),
    /// A pod's.
    Pod(Box<Download>),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        match &mut *self {
            Self::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Pod(download) => Pin::new(download.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(text) => text.is_none(),
            Self::Pod(download) => download.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Self::Pod(download) => download.size_hint(),
        }
    }
}

/// An answer of the proxy's own without a body, such as a redirect.
pub(crate) fn bare(status: StatusCode) -> Response<Answer> {
    let mut answer = Response::new(Answer::Own(None));
    *answer.status_mut() = status;
    answer
}

/// An answer that says what is wrong.
pub(crate) fn refused(refusal: Refusal) -> Response<Answer> {
    let mut answer = said(refusal.status(), refusal.as_str(), refusal.sentence());
    if ends_the_connection(refusal) {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// An answer that says how the pod failed.
pub(crate) fn failed(failure: Failure) -> Response<Answer> {
    said(failure.status(), failure.as_str(), failure.sentence())
}

fn said(status: StatusCode, reason: &'static str, sentence: &'static str) -> Response<Answer> {
    let mut text = Vec::with_capacity(sentence.len() + 1);
    text.extend_from_slice(sentence.as_bytes());
    text.push(b'\n');
    let mut answer = Response::new(Answer::Own(Some(text.into())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(REASON, HeaderValue::from_static(reason));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

/// Whether what follows on the connection cannot be trusted to begin where we think.
fn ends_the_connection(refusal: Refusal) -> bool {
    refusal.status() == StatusCode::BAD_REQUEST
        || matches!(
            refusal,
            Refusal::Headers
                | Refusal::TargetTooLong
                | Refusal::Version
                | Refusal::HeadTimeout
                | Refusal::BodyTimeout
                | Refusal::BodyTooLarge
                | Refusal::Connect
        )
}
