//! The paths of one host, and which of them fits best.

use std::cmp::Ordering;
use std::sync::Arc;

use regex::bytes::Regex;

/// How a path is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Exact,
    Prefix,
    Regex,
    Rest,
}

/// Routes by path. What is added last has to be sealed before anything is looked for.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Sorted by path.
    exact: Vec<(Box<str>, Box<[u32]>)>,
    /// Sorted by segments.
    prefixes: Vec<Prefix>,
    /// In the order of writing.
    patterns: Vec<(Arc<Regex>, Box<[u32]>)>,
    /// For whatever nothing else fits.
    rest: Box<[u32]>,
}

/// A prefix, without its trailing slash: `/` is the empty one.
#[derive(Debug)]
struct Prefix {
    path: Box<str>,
    /// The longest other prefix that this one lies below.
    outer: Option<usize>,
    routes: Box<[u32]>,
}

impl Paths {
    /// Adds the routes of a path, those to be tried first in front.
    pub(super) fn add(
        &mut self,
        kind: Kind,
        text: &str,
        pattern: Option<&Arc<Regex>>,
        routes: Vec<u32>,
    ) {
        let routes = routes.into();
        match (kind, pattern) {
            (Kind::Exact, _) => self.exact.push((text.into(), routes)),
            (Kind::Prefix, _) => {
                self.prefixes.push(Prefix { path: text.into(), outer: None, routes });
            }
            (Kind::Regex, Some(pattern)) => self.patterns.push((pattern.clone(), routes)),
            (Kind::Rest, _) => self.rest = routes,
            (Kind::Regex, None) => {}
        }
    }

    /// Sorts, and finds out which prefix lies below which.
    pub(super) fn seal(&mut self) {
        self.exact.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        self.prefixes.sort_unstable_by(|a, b| by_segments(&a.path, &b.path));
        // What lies below a prefix follows it at once, so the open ones are a stack.
        let mut open: Vec<usize> = Vec::new();
        for at in 0..self.prefixes.len() {
            while open.last().is_some_and(|outer| {
                !is_below(&self.prefixes[*outer].path, &self.prefixes[at].path)
            }) {
                open.pop();
            }
            self.prefixes[at].outer = open.last().copied();
            open.push(at);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty()
            && self.prefixes.is_empty()
            && self.patterns.is_empty()
            && self.rest.is_empty()
    }

    /// The first route that fits `path` and whose conditions hold, and how many bytes it matched.
    pub(super) fn find(&self, path: &str, holds: impl Fn(u32) -> bool) -> Option<(u32, usize)> {
        let first = |routes: &[u32]| routes.iter().copied().find(|route| holds(*route));
        if let Ok(at) = self.exact.binary_search_by(|(exact, _)| (**exact).cmp(path))
            && let Some(route) = first(&self.exact[at].1)
        {
            return Some((route, path.len()));
        }
        // All that lies between a prefix of the path and the path itself lies below that prefix too. So the
        // greatest prefix that is not beyond the path is the longest that fits, or lies below it.
        let beyond =
            self.prefixes.partition_point(|prefix| by_segments(&prefix.path, path).is_le());
        let mut next = beyond.checked_sub(1);
        while let Some(prefix) = next.and_then(|at| self.prefixes.get(at)) {
            if is_below(&prefix.path, path)
                && let Some(route) = first(&prefix.routes)
            {
                return Some((route, prefix.path.len()));
            }
            next = prefix.outer;
        }
        let mut patterns =
            self.patterns.iter().filter(|(pattern, _)| pattern.is_match(path.as_bytes()));
        let pattern = patterns.find_map(|(_, routes)| first(routes));
        pattern
            .map(|route| (route, path.len()))
            .or_else(|| first(&self.rest).map(|route| (route, 0)))
    }
}

/// Whether `path` is `prefix` or lies below it, by whole segments.
fn is_below(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// As lists of segments are compared: the separator goes before any other byte.
fn by_segments(a: &str, b: &str) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { u16::from(byte) + 1 };
    let differing = a.bytes().zip(b.bytes()).find(|(a, b)| a != b);
    differing.map_or_else(|| a.len().cmp(&b.len()), |(a, b)| rank(a).cmp(&rank(b)))
}
