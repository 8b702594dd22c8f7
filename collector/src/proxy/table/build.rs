//! Compiles routes into a [`Table`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use regex::bytes::Regex;

use super::Table;
use super::flaw::{self, Flaw, Reason};
use super::paths::{Kind, Paths};
use super::patterns::pattern;
use crate::proxy::route::{Condition, Fault, Host, Path, Route};

/// Far more than any cluster has; what is beyond is reported and left out.
const MAX_ROUTES: usize = 20_000;

/// Routes of the same host and path, in the order given.
type Group = Vec<u32>;

#[derive(Default)]
struct Build {
    routes: Vec<Route>,
    groups: HashMap<(Host, Kind, Arc<str>), Group>,
    /// By their text: many hosts often have the same one.
    patterns: HashMap<Arc<str>, Arc<Regex>>,
    faults: Vec<Fault>,
}

pub(super) fn build(mut routes: Vec<Route>) -> (Table, Vec<Fault>) {
    // Stable: within a source the order given stays, which is the oldest first for Ingress objects.
    routes.sort_by_key(|route| route.origin.source);
    let mut build = Build::default();
    for route in routes {
        match build.place(&route) {
            Ok(()) => build.routes.push(route),
            Err(flaw) => build.faults.push(Fault {
                origin: route.origin,
                reason: flaw.reason.as_str(),
                sentence: flaw.sentence,
            }),
        }
    }
    build.finish()
}

impl Build {
    /// Puts the route that is about to have the next index into its group.
    fn place(&mut self, route: &Route) -> Result<(), Flaw> {
        if self.routes.len() >= MAX_ROUTES {
            let sentence = format!("more than {MAX_ROUTES} routes; remove some");
            return Err(Flaw { reason: Reason::Bounded, sentence });
        }
        flaw::check(route)?;
        if let Path::Regex(text) = &route.path
            && !self.patterns.contains_key(text)
        {
            self.patterns.insert(text.clone(), pattern(text)?);
        }
        let index = u32::try_from(self.routes.len()).unwrap_or(u32::MAX);
        let (kind, text) = key(&route.path);
        match self.groups.entry((route.host.clone(), kind, text)) {
            Entry::Vacant(group) => {
                group.insert(vec![index]);
            }
            Entry::Occupied(mut group) => {
                let earlier = group.get().iter().map(|at| &self.routes[*at as usize]);
                if let Some(earlier) = earlier
                    .into_iter()
                    .find(|earlier| are_same(&earlier.conditions, &route.conditions))
                {
                    return Err(flaw::duplicate(route, &earlier.origin));
                }
                group.get_mut().push(index);
            }
        }
        Ok(())
    }

    fn finish(self) -> (Table, Vec<Fault>) {
        let Self { routes, groups, patterns, faults } = self;
        let mut table = Table::default();
        let mut groups: Vec<_> = groups.into_iter().collect();
        // Regular expressions are tried in the order of writing.
        groups.sort_unstable_by_key(|(_, group)| group.first().copied());
        for ((host, kind, text), mut group) in groups {
            group.sort_by_key(|at| std::cmp::Reverse(routes[*at as usize].conditions.len()));
            let paths = match host {
                Host::Exact(name) => table.exact.entry(name).or_default(),
                Host::Wildcard(suffix) => table.wildcard.entry(suffix).or_default(),
                Host::Any => &mut table.any,
            };
            let pattern = patterns.get(&text).filter(|_| kind == Kind::Regex);
            paths.add(kind, &text, pattern, group);
        }
        table.exact.values_mut().chain(table.wildcard.values_mut()).for_each(Paths::seal);
        table.any.seal();
        table.routes = routes;
        (table, faults)
    }
}

/// What makes two paths the same: a prefix' trailing slash does not count.
fn key(path: &Path) -> (Kind, Arc<str>) {
    match path {
        Path::Exact(text) => (Kind::Exact, text.clone()),
        Path::Prefix(text) => {
            let trimmed = text.strip_suffix('/').map(Arc::from);
            (Kind::Prefix, trimmed.unwrap_or_else(|| text.clone()))
        }
        Path::Regex(text) => (Kind::Regex, text.clone()),
        Path::Rest => (Kind::Rest, path.template().clone()),
    }
}

/// Whether the same requests meet both, in whatever order they are written.
fn are_same(a: &[Condition], b: &[Condition]) -> bool {
    a.len() == b.len() && a.iter().all(|one| b.contains(one)) && b.iter().all(|one| a.contains(one))
}
