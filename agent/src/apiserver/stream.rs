//! The body of a watch: events as they happen, bookmarks, and the ways it ends.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::route::Route;
use super::store::{Store, event};
use super::{Shared, Signals, lock};

/// Any answer's body.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An open watch.
struct Watch {
    shared: Arc<Shared>,
    route: Route,
    signals: watch::Receiver<Signals>,
    /// Told so far.
    version: u64,
    cuts: u64,
    bookmarks: u64,
    /// Lines that are ready.
    ready: Option<String>,
    next_bookmark: Instant,
    end: Instant,
    is_over: bool,
}

/// Opens a watch; `None` when its version is gone and that is to be told as a status.
pub(super) fn open(shared: &Arc<Shared>, route: Route) -> Option<Body> {
    let signals = shared.signals.subscribe();
    let now = *signals.borrow();
    let store = lock(&shared.store);
    let asked = route.parameter("resourceVersion").filter(|version| !matches!(*version, "" | "0"));
    let (version, ready) = match asked {
        Some(asked) => (asked.parse().unwrap_or(0), None),
        None => (store.version(), Some(present(&store, &route))),
    };
    if store.gone_by_status && store.since(version, &route).is_err() {
        return None;
    }
    drop(store);
    let seconds =
        route.parameter("timeoutSeconds").and_then(|text| text.parse().ok()).unwrap_or(1_800_u32);
    let watch = Watch {
        next_bookmark: Instant::now() + shared.options.bookmark_every,
        end: Instant::now() + std::time::Duration::from_secs(seconds.into()),
        shared: shared.clone(),
        route,
        signals,
        version,
        cuts: now.cuts,
        bookmarks: now.bookmarks,
        ready,
        is_over: false,
    };
    Some(BodyExt::boxed_unsync(StreamBody::new(watch.frames())))
}

/// All objects there are, as a watch without a version begins.
fn present(store: &Store, route: &Route) -> String {
    store.list(route).iter().map(|object| event("ADDED", &route.shape(object))).collect()
}

impl Watch {
    fn frames(self) -> impl Stream<Item = io::Result<Frame<Bytes>>> {
        futures::stream::unfold(self, |mut watch| async {
            let text = watch.next().await?;
            Some((text.map(|text| Frame::data(Bytes::from(text))), watch))
        })
    }

    async fn next(&mut self) -> Option<io::Result<String>> {
        loop {
            if self.is_over {
                return None;
            }
            if let Some(text) = self.ready.take().filter(|text| !text.is_empty()) {
                return Some(Ok(text));
            }
            let signals = *self.signals.borrow_and_update();
            if signals.cuts != self.cuts {
                self.is_over = true;
                return Some(Err(io::Error::other("cut by order")));
            }
            self.read(signals);
            if self.ready.is_some() {
                continue;
            }
            tokio::select! {
                changed = self.signals.changed() => self.is_over = changed.is_err(),
                () = sleep_until(self.next_bookmark) => self.bookmarks = u64::MAX,
                () = sleep_until(self.end) => self.is_over = true,
            }
        }
    }

    /// Takes what happened since the last look.
    fn read(&mut self, signals: Signals) {
        let store = lock(&self.shared.store);
        let mut text = String::new();
        if let Ok(events) = store.since(self.version, &self.route) {
            text.extend(events);
            // A version ahead of ours stays ahead: such a watch waits, as the real one does.
            self.version = self.version.max(store.version());
        } else {
            let status = super::serve::status_text(410, "too old resource version");
            text = format!("{{\"type\":\"ERROR\",\"object\":{status}}}\n");
            self.version = u64::MAX;
        }
        if signals.bookmarks != self.bookmarks {
            self.bookmarks = signals.bookmarks;
            self.next_bookmark = Instant::now() + self.shared.options.bookmark_every;
            if self.route.parameter("allowWatchBookmarks") == Some("true") {
                text.push_str(&store.bookmark());
            }
        }
        self.ready = (!text.is_empty()).then_some(text);
    }
}
