//! The words that labels are made of, each in memory once.

use std::sync::Arc;

use http::{Method, StatusCode};

use crate::labels::{Label, LabelSet};
use crate::proxy::failure::Failure;
use crate::proxy::refusal::Refusal;

macro_rules! verbs {
    ($($variant:ident $label:literal;)*) => {
        /// The methods that the OpenTelemetry conventions know; any other is [`Verb::Other`], since a client
        /// may make up as many as it likes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub(super) enum Verb { $($variant),* }

        impl Verb {
            const ALL: [&'static str; [$(Self::$variant),*].len()] = [$($label),*];
        }
    };
}

verbs! {
    Connect "CONNECT";
    Delete "DELETE";
    Get "GET";
    Head "HEAD";
    Options "OPTIONS";
    Patch "PATCH";
    Post "POST";
    Put "PUT";
    Query "QUERY";
    Trace "TRACE";
    Other "_OTHER";
}

impl Verb {
    #[inline]
    pub(super) fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::POST => Self::Post,
            Method::HEAD => Self::Head,
            Method::PUT => Self::Put,
            Method::DELETE => Self::Delete,
            Method::PATCH => Self::Patch,
            Method::OPTIONS => Self::Options,
            Method::TRACE => Self::Trace,
            Method::CONNECT => Self::Connect,
            _ if method.as_str() == "QUERY" => Self::Query,
            _ => Self::Other,
        }
    }
}

/// Label sets and their parts.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) node: Label,
    proxy_node: Label,
    method: Arc<str>,
    status: Arc<str>,
    error: Arc<str>,
    route: Arc<str>,
    verbs: [Arc<str>; Verb::ALL.len()],
    /// `error_type` by [`Failure`].
    pub(super) failures: [Arc<LabelSet>; Failure::ALL.len()],
    /// `reason` by [`Refusal`].
    pub(super) refusals: [Arc<LabelSet>; Refusal::ALL.len()],
    /// What OpenTelemetry calls a series that stands for those beyond a limit.
    pub(super) beyond: Arc<LabelSet>,
}

/// What tells a combination's series from the others of its pod or route.
pub(super) struct Told<'a> {
    pub(super) verb: Verb,
    pub(super) status: Option<StatusCode>,
    /// Why there is no whole answer. Without one, a status of 500 and above is its own error.
    pub(super) error: Option<&'static str>,
    pub(super) route: Option<&'a Arc<str>>,
}

impl Words {
    pub(super) fn new(node: Arc<str>) -> Self {
        let one = |name, value: &str| Arc::new(LabelSet::new(vec![Label::own(name, value)]));
        Self {
            node: Label::own("node", node.clone()),
            proxy_node: Label::own("proxy_node", node),
            method: "http_request_method".into(),
            status: "http_response_status_code".into(),
            error: "error_type".into(),
            route: "http_route".into(),
            verbs: Verb::ALL.map(Into::into),
            failures: Failure::ALL.map(|failure| one("error_type", failure.as_str())),
            refusals: Refusal::ALL.map(|reason| one("reason", reason.as_str())),
            beyond: one("otel_metric_overflow", "true"),
        }
    }

    /// A pod's labels with the proxy's node behind Podmeter's own.
    pub(super) fn backend(&self, labels: &LabelSet) -> LabelSet {
        let mut labels = labels.labels().to_vec();
        let at = labels.iter().rposition(|label| label.origin == self.proxy_node.origin);
        labels.insert(at.map_or(0, |at| at + 1), self.proxy_node.clone());
        LabelSet::new(labels)
    }

    /// Those that are empty are left out.
    pub(super) fn combination(&self, told: &Told<'_>) -> LabelSet {
        let status: Option<Arc<str>> = told.status.map(|status| status.as_str().into());
        let is_error = told.status.is_some_and(|status| status.as_u16() >= 500);
        let error = match told.error {
            Some(error) => Some(error.into()),
            None if is_error => status.clone(),
            None => None,
        };
        let verb = self.verbs[told.verb as usize].clone();
        let parts = [
            (&self.method, Some(verb)),
            (&self.status, status),
            (&self.error, error),
            (&self.route, told.route.cloned()),
        ];
        let labels = parts.into_iter().filter_map(|(name, value)| {
            let value = value.filter(|value| !value.is_empty())?;
            Some(Label::own_shared(name, value))
        });
        LabelSet::new(labels.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_the_conventions_are_known_and_others_are_not() {
        for name in Verb::ALL {
            let verb = Verb::of(&Method::from_bytes(name.as_bytes()).unwrap());
            assert_eq!(Verb::ALL[verb as usize], name);
        }
        for made_up in ["get", "PROPFIND", "GETS", "X"] {
            assert_eq!(Verb::of(&Method::from_bytes(made_up.as_bytes()).unwrap()), Verb::Other);
        }
    }
}
