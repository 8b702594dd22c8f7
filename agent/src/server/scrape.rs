//! Answers made of a snapshot: rendered beside the event loop, a few at once, compressed as asked.
//!
//! A compressed answer is gathered too before it is sent, though never with its whole text: it is a
//! small part of the text's size, and so rendering never waits for a slow client.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use collector::snapshot::Snapshot;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderName, HeaderValue, VARY};
use http::{HeaderMap, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::answer::{self, Answer};
use super::routes::Asked;
use super::{Refusal, Shared, health, snapshot};
use crate::export::prometheus::{self, Flushing, Format, quality};

pub(super) async fn metrics(shared: &Arc<Shared>, asked: Asked) -> Answer {
    let began = Instant::now();
    let format = Format::negotiate(&joined(&asked.headers, ACCEPT));
    let size = shared.size.load(Ordering::Relaxed);
    let work = move |snapshot: &Snapshot, gzip: bool| {
        if gzip {
            let mut sink = Flushing::new(compressor(size / 16));
            prometheus::render(snapshot, format, &mut sink)?;
            return sink.finish()?.finish();
        }
        let mut text = Vec::with_capacity(size + size / 16);
        prometheus::render(snapshot, format, &mut text)?;
        Ok(text)
    };
    // Never anything but ASCII.
    let content_type = HeaderValue::try_from(format.content_type()).unwrap_or(answer::PLAIN);
    let answer = rendered(shared, &asked, content_type, work).await;
    if answer.status() == StatusCode::OK && !asked.head {
        shared.stats.scrape(format.syntax(), began.elapsed());
    }
    answer
}

pub(super) async fn json(shared: &Arc<Shared>, asked: Asked) -> Answer {
    let work = |snapshot: &Snapshot, gzip: bool| {
        if gzip {
            // The serialiser writes in small pieces.
            let mut pieces = BufWriter::with_capacity(32 * 1024, compressor(0));
            snapshot::write(snapshot, &mut pieces)?;
            return pieces.into_inner().map_err(io::IntoInnerError::into_error)?.finish();
        }
        let mut text = Vec::new();
        snapshot::write(snapshot, &mut text)?;
        text.write_all(b"\n")?;
        Ok(text)
    };
    rendered(shared, &asked, answer::JSON, work).await
}

/// Level 1: series repeat their labels so much that higher levels gain little and cost several times as much.
fn compressor(capacity: usize) -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::with_capacity(capacity), Compression::new(1))
}

async fn rendered(
    shared: &Arc<Shared>,
    asked: &Asked,
    content_type: HeaderValue,
    work: impl FnOnce(&Snapshot, bool) -> io::Result<Vec<u8>> + Send + 'static,
) -> Answer {
    let gzip = wants_gzip(&joined(&asked.headers, ACCEPT_ENCODING));
    let body = if asked.head {
        // A HEAD answer may leave out what only rendering would tell, its length above all.
        shared.latest().map(|_| Bytes::new())
    } else {
        shared.render(move |snapshot| work(snapshot, gzip), gzip).await
    };
    match body {
        Ok(body) => {
            let mut answer = answer::with(StatusCode::OK, content_type, body);
            answer.headers_mut().insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
            if gzip {
                answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            answer
        }
        Err(reason) => refused(shared, reason),
    }
}

fn refused(shared: &Shared, reason: Refusal) -> Answer {
    shared.stats.refuse(reason);
    match reason {
        Refusal::NotReady => {
            answer::unavailable("There has been no tick yet; the first one is under way.\n")
        }
        Refusal::Busy => answer::unavailable(
            "Too many answers are under way; ask less often, or from fewer places.\n",
        ),
        Refusal::Stuck => answer::unavailable(
            "Sampling is stuck, and old numbers are not given out as new; /livez says more.\n",
        ),
        _ => answer::plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The answer could not be made; the log says why.\n",
        ),
    }
}

/// Bytes that count as under way for as long as some of them are in memory.
struct Rendered {
    bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Rendered {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Shared {
    async fn render(
        &self,
        work: impl FnOnce(&Snapshot) -> io::Result<Vec<u8>> + Send + 'static,
        gzip: bool,
    ) -> Result<Bytes, Refusal> {
        let permit =
            timeout(self.settings.render_wait, Arc::clone(&self.renders).acquire_owned()).await;
        let permit = permit.map_err(|_| Refusal::Busy)?.map_err(|_| Refusal::Internal)?;
        // Asked for only now, so that the time spent waiting does not age it.
        let snapshot = self.fresh().await?;
        let bytes = match spawn_blocking(move || work(&snapshot)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return Err(internal(&error)),
            Err(error) => return Err(internal(&error)),
        };
        if !gzip {
            self.size.store(bytes.len(), Ordering::Relaxed);
        }
        Ok(Bytes::from_owner(Rendered { bytes, _permit: permit }))
    }

    async fn fresh(&self) -> Result<Arc<Snapshot>, Refusal> {
        match timeout(self.settings.fresh_wait, self.ticks.fresh()).await {
            Ok(Some(snapshot)) => Ok(snapshot),
            Ok(None) | Err(_) => self.latest(),
        }
    }

    /// The latest snapshot, unless it is so old that it would mislead: series of what is long gone among it.
    fn latest(&self) -> Result<Arc<Snapshot>, Refusal> {
        let snapshot = self.ticks.latest().ok_or(Refusal::NotReady)?;
        match health::stuck(&self.ticks, self.started, self.settings.stuck_after) {
            None => Ok(snapshot),
            Some(_) => Err(Refusal::Stuck),
        }
    }
}

fn internal(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "an answer could not be rendered");
    Refusal::Internal
}

/// A list header may come in several lines.
fn joined(headers: &HeaderMap, name: HeaderName) -> String {
    let lines: Vec<&str> =
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    lines.join(",")
}

/// Whether gzip is wanted at least as much as no encoding (RFC 9110, section 12.5.3).
fn wants_gzip(accept: &str) -> bool {
    let weight = |names: &[&str]| {
        let named = quality::choices(accept)
            .filter(|choice| names.iter().any(|name| choice.value.eq_ignore_ascii_case(name)));
        named.map(|choice| choice.weight).max()
    };
    let any = weight(&["*"]);
    let gzip = weight(&["gzip", "x-gzip"]).or(any).unwrap_or(0);
    gzip > 0 && gzip >= weight(&["identity"]).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_only_where_it_is_wanted() {
        for accept in [
            "gzip",
            "deflate, GZIP;q=0.1",
            "*",
            "x-gzip",
            "identity;q=0.5, gzip;q=0.5",
            "gzip, *;q=0",
            "*;q=0.1",
        ] {
            assert!(wants_gzip(accept), "{accept}");
        }
        for accept in [
            "",
            "br",
            "identity",
            "gzip;q=0",
            "gzip;q=0, *",
            "identity, gzip;q=0.5",
            "*;q=0",
            "gzip;q=high",
        ] {
            assert!(!wants_gzip(accept), "{accept}");
        }
    }
}
