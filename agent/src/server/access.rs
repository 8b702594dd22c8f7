//! Who may read Podmeter's own endpoints.
//!
//! A request is judged by what it shows: the client certificate of its connection, or a bearer token ([`token`]),
//! about which [`kubernetes`] asks the API server. [`reviews`] sees to it that this is done seldom and within bounds,
//! with the answers in [`cache`]; [`stats`] counts. Health endpoints never come here.

mod cache;
mod kubernetes;
mod reviews;
mod stats;
mod token;

use std::sync::Arc;

use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use kube::Client;

use self::cache::Verdict;
use self::kubernetes::Kubernetes;
use self::reviews::Reviews;
pub(super) use self::stats::{Reason, Stats};
use self::token::{NoToken, Token};
use super::answer::{self, Answer};
use crate::config;

/// Judges requests.
#[derive(Default)]
pub(super) struct Access {
    way: Way,
    pub(super) stats: Stats,
}

/// How somebody comes in.
#[derive(Default)]
enum Way {
    /// Whoever comes.
    #[default]
    Open,
    /// With a client certificate.
    Certificate,
    /// With that or a token.
    Token(Reviews),
}

/// Why somebody does not come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    NoToken,
    MalformedToken,
    UnknownToken,
    Forbidden(Arc<str>),
    Unavailable,
    NoCertificate,
}

impl Access {
    /// As configured; without a client for the API server no token can be good.
    pub(super) fn new(settings: &config::Access, client: Option<&Client>) -> Self {
        let stats = Stats::default();
        let way = match (settings.mode, client) {
            (config::Mode::Open, _) => Way::Open,
            (config::Mode::Kubernetes, Some(client)) => {
                let namespace = settings.namespace.clone();
                let namespace = namespace.unwrap_or_else(|| client.default_namespace().into());
                let judge = Kubernetes { client: client.clone(), namespace };
                Way::Token(Reviews::new(judge, settings.outage_grace, stats.clone()))
            }
            (config::Mode::Certificate | config::Mode::Kubernetes, _) => Way::Certificate,
        };
        Self { way, stats }
    }

    /// Whether a request with these headers may read `path`; `certified` if its connection's client showed a good
    /// certificate.
    pub(super) async fn check(
        &self,
        headers: &HeaderMap,
        path: &'static str,
        certified: bool,
    ) -> Result<(), Denied> {
        let judged = match &self.way {
            Way::Open => Ok(()),
            Way::Certificate | Way::Token(_) if certified => Ok(()),
            Way::Certificate => Err(Denied::NoCertificate),
            Way::Token(reviews) => judge(reviews, headers, path).await,
        };
        judged.inspect_err(|denied| self.stats.refuse(denied.reason()))
    }
}

async fn judge(reviews: &Reviews, headers: &HeaderMap, path: &'static str) -> Result<(), Denied> {
    let token = Token::of(headers).map_err(|fault| match fault {
        NoToken::Absent => Denied::NoToken,
        NoToken::Malformed => Denied::MalformedToken,
    })?;
    match reviews.verdict(token, path).await {
        Ok(Verdict::Allowed) => Ok(()),
        Ok(Verdict::Forbidden(user)) => Err(Denied::Forbidden(user)),
        Ok(Verdict::Unknown) => Err(Denied::UnknownToken),
        // The log says why: whoever has no right here need not know how Podmeter and its API server get on.
        Err(_) => Err(Denied::Unavailable),
    }
}

impl Denied {
    fn reason(&self) -> Reason {
        match self {
            Self::NoToken => Reason::NoToken,
            Self::MalformedToken => Reason::MalformedToken,
            Self::UnknownToken => Reason::UnknownToken,
            Self::Forbidden(_) => Reason::Forbidden,
            Self::Unavailable => Reason::Unavailable,
            Self::NoCertificate => Reason::NoCertificate,
        }
    }

    /// What the client is told, with the fix.
    pub(super) fn answer(&self) -> Answer {
        match self {
            Self::NoToken => unauthorized(
                "Bearer realm=\"podmeter\"",
                "This needs a token: send \"Authorization: Bearer TOKEN\", such as a ServiceAccount's that is bound to the ClusterRole podmeter-metrics-reader.\n",
            ),
            Self::MalformedToken => unauthorized(
                "Bearer realm=\"podmeter\", error=\"invalid_request\"",
                "This is no bearer token: send one header \"Authorization: Bearer TOKEN\".\n",
            ),
            Self::UnknownToken => unauthorized(
                "Bearer realm=\"podmeter\", error=\"invalid_token\"",
                "The API server does not know this token, or no longer: send a current one, such as a ServiceAccount's that is bound to the ClusterRole podmeter-metrics-reader.\n",
            ),
            Self::Forbidden(user) => answer::plain(
                StatusCode::FORBIDDEN,
                format!(
                    "{user:?} may not read this: bind it to the ClusterRole podmeter-metrics-reader.\n"
                ),
            ),
            Self::Unavailable => answer::unavailable(
                "Whether this token may read this cannot be found out now: the API server does not say. Podmeter's log has the reason.\n",
            ),
            Self::NoCertificate => answer::plain(
                StatusCode::FORBIDDEN,
                "This needs a client certificate, signed by one of the authorities in tls.client_ca.\n",
            ),
        }
    }
}

fn unauthorized(challenge: &'static str, sentence: &'static str) -> Answer {
    let mut answer = answer::plain(StatusCode::UNAUTHORIZED, sentence);
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    answer
}
