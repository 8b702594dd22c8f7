//! An Ingress' annotations: ours, and those for nginx whose meaning we can keep, so that people can move.
//!
//! Ours go before nginx's where both say something. A mistake costs that annotation only. An annotation that
//! keeps others out (authentication, source ranges) and is not supported costs the whole Ingress: what
//! someone meant to protect is refused without the protection. nginx's `canary` costs it too, since the rules
//! of such an Ingress would otherwise take all of the main one's requests.

use std::sync::Arc;
use std::time::Duration;

use super::value;
use crate::api::lax::Map;
use crate::proxy::discovery::fault::{Reason, Report};
use crate::proxy::discovery::object::{KEPT_ANNOTATION, MAX_ANNOTATION};
use crate::proxy::route::{Affinity, Bounds, Edits};
use crate::proxy::service::Port;

/// Our domain.
const OURS: &str = "podmeter.io/";
/// nginx's.
const NGINX: &str = "nginx.ingress.kubernetes.io/";
/// The cookie's name where none is given.
const COOKIE: &str = "podmeter-affinity";
/// The same for those who come from nginx, so that sessions' cookies keep their name.
const NGINX_COOKIE: &str = "INGRESSCOOKIE";

/// Annotations for nginx that keep others out.
const GUARDS: [&str; 4] =
    ["auth-", "whitelist-source-range", "allowlist-source-range", "denylist-source-range"];
/// Beginnings of annotations for nginx that change where requests go or what they are, and are not supported.
const CHANGES: [&str; 25] = [
    "app-root",
    "backend-protocol",
    "configuration-snippet",
    "cors-",
    "custom-headers",
    "custom-http-errors",
    "default-backend",
    "enable-cors",
    "enable-modsecurity",
    "from-to-www-redirect",
    "limit-",
    "mirror-",
    "modsecurity-",
    "permanent-redirect",
    "proxy-redirect-",
    "proxy-ssl-",
    "secure-backends",
    "server-alias",
    "server-snippet",
    "service-upstream",
    "session-cookie-domain",
    "ssl-passthrough",
    "temporal-redirect",
    "upstream-",
    "x-forwarded-prefix",
];

/// When plain HTTP is redirected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Redirect {
    #[default]
    Never,
    /// For hosts that have a certificate.
    ForTls,
    Always,
}

/// What the annotations ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Options {
    /// A protection is asked for that is not supported: refuse every request for it.
    pub(super) is_guarded: bool,
    /// It is another Ingress' canary, which is written there: serve nothing of it.
    pub(super) is_canary: bool,
    pub(super) rewrite: Option<Arc<str>>,
    /// `ImplementationSpecific` paths are regular expressions.
    pub(super) regex: bool,
    pub(super) redirect: Redirect,
    /// With an empty path where each route's own is to be taken.
    pub(super) affinity: Option<Affinity>,
    pub(super) bounds: Bounds,
    pub(super) request: Edits,
    pub(super) response: Edits,
    /// A second Service and its part of the requests in percent.
    pub(super) canary: Option<((Arc<str>, Port), u32)>,
}

/// Parts that make sense together only.
#[derive(Default)]
struct Draft {
    options: Options,
    sticky: bool,
    cookie: Option<Arc<str>>,
    path: Option<Arc<str>>,
    max_age: Option<Duration>,
    same_site: Option<Arc<str>>,
    canary: Option<(Arc<str>, Port)>,
    weight: Option<u32>,
}

/// Reads them all; what is wrong goes to the report.
pub(super) fn read(annotations: &Map<KEPT_ANNOTATION>, report: &mut Report) -> Options {
    let mut draft = Draft::default();
    let of = |domain: &'static str| {
        let entries = annotations.entries.iter();
        entries.filter_map(move |(key, value)| Some((key.strip_prefix(domain)?, value.trim())))
    };
    if annotations.more > 0 {
        report.add(Reason::TooMany, format!("{} annotations are left out", annotations.more));
    }
    for (name, value) in of(NGINX) {
        if let Err(why) = draft.nginx(name, value, report) {
            report.add(Reason::BadAnnotation, format!("annotation {NGINX}{name} {why}"));
        }
    }
    if draft.sticky {
        draft.cookie.get_or_insert_with(|| NGINX_COOKIE.into());
    }
    for (name, value) in of(OURS) {
        // Of nginx's none that is supported can be as long.
        if value.len() > MAX_ANNOTATION {
            let why = format!("has more than {MAX_ANNOTATION} bytes and is left out");
            report.add(Reason::BadAnnotation, format!("annotation {OURS}{name} {why}"));
            continue;
        }
        match draft.ours(name, value) {
            Some(Ok(())) => {}
            Some(Err(why)) => {
                report.add(Reason::BadAnnotation, format!("annotation {OURS}{name} {why}"));
            }
            None => report.add(
                Reason::UnknownAnnotation,
                format!("annotation {OURS}{name} is not known; check its spelling"),
            ),
        }
    }
    draft.finish(report)
}

impl Draft {
    /// What ours and nginx's have in common; `None` for any other name.
    fn shared(&mut self, name: &str, text: &str) -> Option<Result<(), String>> {
        Some(match name {
            "affinity" => match text {
                "cookie" => keep(&mut self.sticky, Ok(true)),
                "" | "none" => keep(&mut self.sticky, Ok(false)),
                _ => Err("can only be \"cookie\"".to_owned()),
            },
            "session-cookie-name" => keep_some(&mut self.cookie, value::cookie_name(text)),
            "session-cookie-path" => keep_some(&mut self.path, value::cookie_path(text)),
            "session-cookie-max-age" => keep_some(&mut self.max_age, value::max_age(text)),
            "session-cookie-samesite" => keep_some(&mut self.same_site, value::same_site(text)),
            "rewrite-target" => keep_some(&mut self.options.rewrite, value::path(text)),
            "proxy-connect-timeout" => {
                keep_some(&mut self.options.bounds.connect, value::timeout(text))
            }
            "proxy-read-timeout" => value::timeout(text).map(|time| {
                // As nginx means it: between any two reads of the answer, the first included.
                self.options.bounds.first_byte = Some(time);
                self.options.bounds.idle = Some(time);
            }),
            "proxy-body-size" => keep_some(&mut self.options.bounds.body, value::size(text)),
            _ => return None,
        })
    }

    fn ours(&mut self, name: &str, text: &str) -> Option<Result<(), String>> {
        if let Some(done) = self.shared(name, text) {
            return Some(done);
        }
        let Options { request, response, .. } = &mut self.options;
        Some(match name {
            "ssl-redirect" => value::flag(text).map(|wanted| {
                self.options.redirect = if wanted { Redirect::Always } else { Redirect::Never };
            }),
            "use-regex" => keep(&mut self.options.regex, value::flag(text)),
            "canary-service" => keep_some(&mut self.canary, value::service(text)),
            "canary-weight" => keep_some(&mut self.weight, value::percent(text)),
            "request-headers-set" => keep(&mut request.set, value::headers(text)),
            "request-headers-remove" => keep(&mut request.remove, value::header_names(text)),
            "response-headers-set" => keep(&mut response.set, value::headers(text)),
            "response-headers-remove" => keep(&mut response.remove, value::header_names(text)),
            _ => return None,
        })
    }

    fn nginx(&mut self, name: &str, text: &str, report: &mut Report) -> Result<(), String> {
        if let Some(done) = self.shared(name, text) {
            return done;
        }
        let is_off = matches!(text, "" | "false" | "off");
        match name {
            "ssl-redirect" | "force-ssl-redirect" => {
                let is_forced = name == "force-ssl-redirect";
                let redirect = if is_forced { Redirect::Always } else { Redirect::ForTls };
                if value::flag(text)? {
                    self.options.redirect = self.options.redirect.max(redirect);
                }
            }
            _ if is_off => {}
            "canary" => {
                self.options.is_canary = true;
                report.add(
                    Reason::Guarded,
                    format!("annotation {NGINX}{name} is not supported, so nothing of this Ingress is served: write it as podmeter.io/canary-service and podmeter.io/canary-weight on the main Ingress"),
                );
            }
            _ if GUARDS.iter().any(|guard| name.starts_with(guard)) => {
                self.options.is_guarded = true;
                report.add(
                    Reason::Guarded,
                    format!("annotation {NGINX}{name} is not supported, so its paths are answered with 403: take it away, or leave this Ingress to a controller that has it"),
                );
            }
            "use-regex" => report.add(
                Reason::Unsupported,
                format!("annotation {NGINX}{name} is left out: write podmeter.io/use-regex, whose expressions match whole paths"),
            ),
            "backend-protocol" if text.eq_ignore_ascii_case("http") => {}
            "backend-protocol" => report.add(
                Reason::Unsupported,
                format!("annotation {NGINX}{name} is left out: set appProtocol of the Service's port to https, kubernetes.io/h2c or grpc"),
            ),
            _ if CHANGES.iter().any(|change| name.starts_with(change)) => report.add(
                Reason::Unsupported,
                format!("annotation {NGINX}{name} is not supported and left out"),
            ),
            // The rest tunes nginx itself.
            _ => {}
        }
        Ok(())
    }

    fn finish(self, report: &mut Report) -> Options {
        let mut options = self.options;
        if self.sticky {
            options.affinity = Some(Affinity {
                cookie: self.cookie.unwrap_or_else(|| COOKIE.into()),
                max_age: self.max_age,
                path: self.path.unwrap_or_default(),
                same_site: self.same_site,
            });
        }
        options.canary = match (self.canary, self.weight) {
            (Some(service), Some(weight)) => Some((service, weight)),
            (None, None) => None,
            _ => {
                report.add(
                    Reason::BadAnnotation,
                    "annotations podmeter.io/canary-service and podmeter.io/canary-weight are of use together only",
                );
                None
            }
        };
        options
    }
}

fn keep<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

fn keep_some<T>(place: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    *place = Some(value?);
    Ok(())
}
