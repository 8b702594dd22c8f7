//! Which route a request takes: the routes of all sources, compiled once and never changed after.
//!
//! The most particular wins, first by host, then by path, then by conditions:
//!
//! 1. the exact host, then a wildcard of one label, then any host; where a host has no path that fits, the next
//!    one is asked;
//! 2. within a host the exact path, then the longest prefix by whole segments, then regular expressions in the
//!    order in which they are written (their length says nothing about how much they match), then what is for all the
//!    rest;
//! 3. on the same path the route with more conditions, then the one that is written first.
//!
//! Paths are compared as they came: `/%61` is not `/a`, and `//a` is not `/a`. What no backend may be asked for at
//! all, [`is_plain_path`] tells. Beside the look-up stand the pure functions that say what a route does to a
//! request; who sends it where is [`forward`](super)'s business.

mod build;
mod flaw;
mod headers;
mod host;
mod paths;
mod patterns;
mod rewrite;
mod target;
mod weights;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use http::HeaderMap;

pub use self::flaw::Reason;
pub(crate) use self::flaw::{is_cookie_name, is_cookie_path, is_framing, is_path};
pub use self::headers::{cookie, cookies, edit, is_same_spelling, remove_lookalikes};
pub use self::host::host;
use self::paths::Paths;
pub use self::rewrite::{leads_back, location, rewrite};
pub use self::target::is_plain_path;
pub use self::weights::weighted;
use super::route::{Action, Fault, Route};
use super::service::ServiceKey;

/// The routes in force. Immutable: a change makes a new one.
#[derive(Debug, Default)]
pub struct Table {
    routes: Vec<Route>,
    exact: HashMap<Arc<str>, Paths>,
    /// By what stands behind `*.`.
    wildcard: HashMap<Arc<str>, Paths>,
    any: Paths,
}

/// What [`Table::find`] found.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// A route.
    Route(Match<'a>),
    /// The host has routes, and none fits.
    NoPath,
    /// No route is for this host.
    NoHost,
}

/// A route that fits a request.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// Its place in [`Table::routes`].
    pub index: usize,
    /// The route.
    pub route: &'a Route,
    /// How many bytes of the path it matched: those of a prefix without its trailing slash, else all.
    pub matched: usize,
}

impl Table {
    /// Compiles routes. A bad one is left out with a fault; the others keep working. Of two with the same host,
    /// path and conditions the first wins: the file's before an Ingress', then in the order given.
    #[must_use]
    pub fn build(routes: Vec<Route>) -> (Self, Vec<Fault>) {
        build::build(routes)
    }

    /// The route for a request. `host` is in lower case and without a port, as [`host()`] gives it; `path` is without
    /// the query.
    ///
    /// Allocates nothing, save what a regular expression needs when a thread first uses it.
    #[must_use]
    pub fn find(&self, host: &str, path: &str, headers: &HeaderMap) -> Found<'_> {
        let wildcard = match host.split_once('.') {
            Some((label, suffix)) if !label.is_empty() => self.wildcard.get(suffix),
            _ => None,
        };
        let any = Some(&self.any).filter(|paths| !paths.is_empty());
        let holds = |index: u32| {
            self.routes.get(index as usize).is_some_and(|route| headers::hold(route, headers))
        };
        let mut found = Found::NoHost;
        for paths in [self.exact.get(host), wildcard, any].into_iter().flatten() {
            if let Some((index, matched)) = paths.find(path, holds) {
                let index = index as usize;
                return Found::Route(Match { index, route: &self.routes[index], matched });
            }
            found = Found::NoPath;
        }
        found
    }

    /// The routes in force.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Its routes, where nothing is to be found in it.
    pub(crate) fn into_routes(self) -> Vec<Route> {
        self.routes
    }

    /// The Services that they name, those with a weight of 0 too.
    #[must_use]
    pub fn services(&self) -> BTreeSet<ServiceKey> {
        let named = self.routes.iter().filter_map(|route| match &route.action {
            Action::Forward(backends) => Some(backends),
            Action::Redirect(_) | Action::Refuse => None,
        });
        named.flatten().map(|(service, _)| service.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
