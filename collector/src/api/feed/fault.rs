//! What went wrong with a request, sorted into the closed set and said with the fix.

use std::error::Error as _;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use super::Target;
use crate::api::health::Failure;

/// Bytes of a cause that are kept. Causes are texts of the network layers, never of a server.
const MAX_CAUSE: usize = 200;

/// One failure.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Failure,
    /// What happened, in our words or the network layer's.
    pub(crate) cause: String,
    /// The status of the answer, if there was one.
    pub(crate) status: Option<u16>,
    /// How long the server asked us to wait.
    pub(crate) retry_after: Option<Duration>,
}

impl Fault {
    pub(crate) fn new(kind: Failure, cause: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), status: None, retry_after: None }
    }

    /// Nothing came within the time that the step may take.
    pub(super) fn late(wait: Duration) -> Self {
        Self::new(Failure::Unreachable, format!("no answer within {} s", wait.as_secs()))
    }

    /// A status that is no success. The body is not looked at: it may say anything.
    pub(super) fn refused(status: StatusCode, headers: &HeaderMap) -> Self {
        let asked = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        Self {
            retry_after: asked.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs),
            status: Some(status.as_u16()),
            ..Self::new(kind_of(status.as_u16()), format!("HTTP {}", status.as_u16()))
        }
    }

    /// An ERROR event of a watch.
    pub(super) fn told(code: Option<i64>) -> Self {
        let code = code.and_then(|code| u16::try_from(code).ok()).unwrap_or_default();
        Self::new(kind_of(code), format!("error event with code {code}"))
    }

    /// The request did not get through to an answer.
    pub(super) fn unsent(error: &kube::Error) -> Self {
        let kind = match error {
            kube::Error::Auth(_) => Failure::Unauthorized,
            kube::Error::RustlsTls(_) => Failure::Tls,
            _ => Failure::Unreachable,
        };
        // The innermost cause is what tells: the outer ones only say that sending failed.
        let mut cause = error.source();
        let mut deepest = error.to_string();
        while let Some(inner) = cause {
            deepest = inner.to_string();
            cause = inner.source();
        }
        let lower = deepest.to_ascii_lowercase();
        let is_tls = ["certificate", "handshake", "tls"].iter().any(|word| lower.contains(word));
        let kind = if kind == Failure::Unreachable && is_tls { Failure::Tls } else { kind };
        // What an authentication plugin prints may hold credentials.
        let cause = if kind == Failure::Unauthorized {
            "the credentials cannot be read"
        } else {
            crate::api::lax::cut(&deepest, MAX_CAUSE)
        };
        Self::new(kind, cause)
    }

    /// The sentence for logs and `/readyz`.
    pub(crate) fn sentence(&self, target: &Target) -> String {
        let Self { kind, cause, .. } = self;
        let what = &target.name();
        let resource = target.feed.resource();
        match kind {
            Failure::Unreachable => format!(
                "cannot reach the API server for {what}: {cause}; check the network path, NetworkPolicies and the server itself"
            ),
            Failure::Forbidden => format!(
                "the API server refuses {what} ({cause}): the ClusterRole lacks list or watch on {resource}"
            ),
            Failure::Unauthorized => format!(
                "the API server does not accept our credentials for {what} ({cause}): check the service account and its token"
            ),
            Failure::Gone => {
                format!("the version of {what} to go on from is too old ({cause}): listing again")
            }
            Failure::Throttled => format!(
                "the API server throttles {what} ({cause}): waiting as it asks; look for a FlowSchema that is too small"
            ),
            Failure::ServerError => {
                format!("the API server fails on {what} ({cause}): look at its own log")
            }
            Failure::Tls => format!(
                "no trusted connection to the API server for {what}: {cause}; check its certificate and our CA file"
            ),
            Failure::Decode => format!(
                "the API server's answer on {what} is not understood: {cause}; look for a proxy in between"
            ),
            Failure::Other => format!(
                "the API server does not serve {what} ({cause}): check the address and the path in front of it"
            ),
        }
    }
}

fn kind_of(code: u16) -> Failure {
    match code {
        401 => Failure::Unauthorized,
        403 => Failure::Forbidden,
        410 => Failure::Gone,
        429 => Failure::Throttled,
        500..=599 => Failure::ServerError,
        _ => Failure::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_fall_into_the_closed_set() {
        for (code, kind) in [
            (401, Failure::Unauthorized),
            (403, Failure::Forbidden),
            (404, Failure::Other),
            (410, Failure::Gone),
            (429, Failure::Throttled),
            (500, Failure::ServerError),
            (504, Failure::ServerError),
            (302, Failure::Other),
        ] {
            assert_eq!(Fault::told(Some(code)).kind, kind, "{code}");
        }
        assert_eq!(Fault::told(None).kind, Failure::Other);
        assert_eq!(Fault::told(Some(-1)).kind, Failure::Other);
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_odd_ones_are_not() {
        let asked = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, http::HeaderValue::from_static(text));
            Fault::refused(StatusCode::TOO_MANY_REQUESTS, &headers).retry_after
        };
        assert_eq!(asked("3"), Some(Duration::from_secs(3)));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-1"), None);
    }
}
