//! `proxy.routes`: which requests go where.

mod edits;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use collector::proxy::route::{
    Action, Affinity, Bounds, Host, Origin, Path, Redirect, Route, Source,
};
use collector::proxy::service::{Port, Service, ServiceKey};
use collector::proxy::table::Table;
use http::StatusCode;

use super::settings::{BODY, CONNECT, REQUEST, WAIT};
use super::{fixed, is_label};
use crate::config::section::Section;

/// Heaviest backend.
const MAX_WEIGHT: usize = 1_000_000;
/// The affinity cookie's name unless told otherwise.
const COOKIE: &str = "podmeter";
const NAME: &str = "a name; write at most 128 letters, digits, -, _ and .";
const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

type Services = [(ServiceKey, Service)];

pub(super) fn read(proxy: &mut Section<'_>, services: &Services) -> Vec<Route> {
    let mut names = HashSet::new();
    let mut entries = 0..;
    let read = proxy.sections("routes", None, |section| {
        let at = entries.next()?;
        let is_written = section.has("name");
        let name = section.parsed("name", NAME, |text| is_name(text).then(|| Arc::from(text)));
        if !is_written {
            section.wrong::<()>("name", "not set; series and faults name the route by it");
        }
        let name = name.filter(|name: &Arc<str>| {
            let is_new = names.insert(name.clone());
            if !is_new {
                section.wrong::<()>("name", format_args!("{name:?} stands twice"));
            }
            is_new
        });
        Some((at, route(section, name, services)?))
    });
    let (places, routes): (Vec<usize>, Vec<Route>) = read.into_iter().unzip();
    // The table itself is asked, so that what passes here cannot be refused later.
    for fault in Table::build(routes.clone()).1 {
        let place = routes.iter().zip(&places).find(|(route, _)| route.origin == fault.origin);
        proxy.fault("routes", place.map_or(0, |(_, at)| *at), fault.sentence);
    }
    routes
}

fn route(section: &mut Section<'_>, name: Option<Arc<str>>, services: &Services) -> Option<Route> {
    let host = section.text("host").map_or(Host::Any, |text| host(&text));
    let path = path(section);
    let conditions = edits::conditions(section);
    let action = action(section, services);
    let rewrite = section.text("rewrite").map(Arc::from);
    let request = section.inside("request", edits::edits);
    let response = section.inside("response", edits::edits);
    let of = path.as_ref().unwrap_or(&Path::Rest);
    let affinity = section.optional("affinity", |section| Some(affinity(section, of)));
    let https_only = section.flag("https_only").unwrap_or_default();
    let mut bounds = section.inside("timeouts", bounds);
    bounds.body = section.bytes("max_body", BODY);
    let origin = Origin { source: Source::File, namespace: Arc::default(), name: name? };
    Some(Route {
        origin,
        host,
        path: path?,
        conditions,
        action: action?,
        rewrite,
        request,
        response,
        affinity,
        https_only,
        bounds,
    })
}

fn is_name(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.len() <= 128 && text.bytes().all(is_legal)
}

/// Case does not count in hosts; what is no host at all the table tells.
fn host(text: &str) -> Host {
    let text = text.to_ascii_lowercase();
    match text.strip_prefix("*.") {
        _ if text == "*" => Host::Any,
        Some(suffix) => Host::Wildcard(suffix.into()),
        None => Host::Exact(text.into()),
    }
}

type Kind = fn(Arc<str>) -> Path;

const PATHS: [(&str, Kind); 3] =
    [("path", Path::Exact), ("prefix", Path::Prefix), ("regex", Path::Regex)];

/// One of three keys; without any all paths.
fn path(section: &mut Section<'_>) -> Option<Path> {
    let written: Vec<&str> =
        PATHS.iter().map(|(key, _)| *key).filter(|key| section.has(key)).collect();
    let mut found = None;
    for (key, make) in PATHS {
        found = section.text(key).map(|text| make(text.into())).or(found);
    }
    match written[..] {
        [] => Some(Path::Prefix("/".into())),
        [_] => found,
        [first, second, ..] => {
            section.wrong(second, format_args!("excludes {first}; leave one of them out"))
        }
    }
}

fn action(section: &mut Section<'_>, services: &Services) -> Option<Action> {
    let (forwards, redirects) = (section.has("backends"), section.has("redirect"));
    let mut entries = 0;
    let backends = section.sections("backends", Some("service"), |section| {
        entries += 1;
        let weight = section.number("weight", 0..=MAX_WEIGHT);
        if !section.has("service") {
            section.wrong::<()>("service", "not set; write which service gets the requests");
        }
        let service = section.text("service")?;
        let service = backend(section, &service, services)?;
        Some((service, weight.map_or(1, |weight| u32::try_from(weight).unwrap_or(u32::MAX))))
    });
    let redirect = section.optional("redirect", redirect);
    match (forwards, redirects) {
        (true, true) => section.wrong("redirect", "excludes backends; leave one of them out"),
        (false, false) => section.wrong_here("goes nowhere; write backends or redirect"),
        // What is wrong with a backend is told already.
        (true, false) => (backends.len() == entries).then_some(Action::Forward(backends)),
        (false, true) => redirect.map(Action::Redirect),
    }
}

/// A service of the file by its name, or a Service of the cluster as `namespace/name:port`.
fn backend(section: &mut Section<'_>, text: &str, services: &Services) -> Option<ServiceKey> {
    let Some((namespace, rest)) = text.split_once('/') else {
        let key = fixed(text);
        if services.iter().any(|(known, _)| *known == key) {
            return Some(key);
        }
        return section.wrong(
            "service",
            format_args!("proxy.services has no {text:?}; add it there, or write a Service of the cluster as \"namespace/name:port\""),
        );
    };
    let key = rest.rsplit_once(':').and_then(|(name, port)| {
        let port = match port.parse::<u16>() {
            Ok(number) => Port::Number(Some(number).filter(|number| *number != 0)?),
            Err(_) if port.len() <= 15 && is_label(port) => Port::Name(port.into()),
            Err(_) => return None,
        };
        (is_label(namespace) && is_label(name)).then(|| ServiceKey {
            namespace: namespace.into(),
            name: name.into(),
            port,
        })
    });
    key.or_else(|| {
        section.wrong(
            "service",
            format_args!("{text:?} is not a Service with a port; write it as \"namespace/name:port\", such as \"shop/web:http\""),
        )
    })
}

fn redirect(section: &mut Section<'_>) -> Option<Redirect> {
    let status = section.number("status", 301..=308).unwrap_or(302);
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok())?;
    Some(Redirect {
        status,
        scheme: section.text("scheme").map(|text| text.to_ascii_lowercase().into()),
        host: section.text("host").map(Arc::from),
        path: section.text("path").map(Arc::from),
    })
}

fn affinity(section: &mut Section<'_>, of: &Path) -> Affinity {
    Affinity {
        cookie: section.text("cookie").map_or_else(|| COOKIE.into(), Arc::from),
        max_age: section.duration_in("max_age", Duration::from_secs(1)..=YEAR),
        path: section.text("path").map_or_else(|| of.cookie(), Arc::from),
        same_site: section.parsed("same_site", "strict, lax or none", |text| {
            let words = ["Strict", "Lax", "None"];
            words.into_iter().find(|word| word.eq_ignore_ascii_case(text)).map(Arc::from)
        }),
    }
}

fn bounds(section: &mut Section<'_>) -> Bounds {
    Bounds {
        connect: section.duration_in("connect", CONNECT),
        first_byte: section.duration_in("first_byte", WAIT),
        idle: section.duration_in("idle", WAIT),
        request: section.duration_in("request", REQUEST),
        body: None,
    }
}
