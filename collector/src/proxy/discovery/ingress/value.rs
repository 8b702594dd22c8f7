//! The small languages of annotations and rules: times, sizes, headers, hosts, paths.
//!
//! Pure; each error is the end of a sentence that begins with the annotation's name.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};

use crate::api::feed::is_name;
use crate::proxy::route::Host;
use crate::proxy::service::Port;
use crate::proxy::table;

/// Longest time that a timeout may be.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);
/// Longest life of a cookie: what browsers cut it to.
const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 3_600);
/// Headers of one list.
const MAX_HEADERS: usize = 32;

/// Headers that an Ingress may not touch beside those of framing: those of the connection, and the host, which
/// routing is done by.
const UNTOUCHABLE: [HeaderName; 3] =
    [header::HOST, header::PROXY_AUTHENTICATE, header::PROXY_AUTHORIZATION];

pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither \"true\" nor \"false\"".to_owned()),
    }
}

/// Whole seconds, or a number with `ms`, `s`, `m` or `h`.
fn time(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let scale = match &text[digits..] {
        "ms" => return Some(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(scale)?))
}

fn within(text: &str, max: Duration) -> Result<Duration, String> {
    time(text).filter(|time| !time.is_zero() && *time <= max).ok_or_else(|| {
        format!(
            "is no time above 0 and up to {} s; write seconds, or a number with ms, s, m or h",
            max.as_secs()
        )
    })
}

pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    within(text, MAX_TIMEOUT)
}

pub(super) fn max_age(text: &str) -> Result<Duration, String> {
    within(text, MAX_AGE)
}

/// Bytes, or a number with `k`, `m` or `g` (of 1024), as nginx writes them, or with `Ki`, `Mi` or `Gi`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let shift = match &text[digits..] {
        "" => Some(0),
        "k" | "K" | "Ki" => Some(10),
        "m" | "M" | "Mi" => Some(20),
        "g" | "G" | "Gi" => Some(30),
        _ => None,
    };
    let number: Option<u64> = text[..digits].parse().ok();
    number.zip(shift).and_then(|(number, shift)| number.checked_mul(1 << shift)).ok_or_else(|| {
        "is no size; write bytes, or a number with k, m or g; 0 is for no bound".to_owned()
    })
}

/// From 0 to 100.
pub(super) fn percent(text: &str) -> Result<u32, String> {
    let number: Option<u32> = text.parse().ok();
    number.filter(|number| *number <= 100).ok_or_else(|| "is no number from 0 to 100".to_owned())
}

/// A path to go on with: no query, no place-holder.
pub(super) fn path(text: &str) -> Result<Arc<str>, String> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'$' | b';');
    if table::is_path(text) && text.bytes().all(is_plain) {
        Ok(text.into())
    } else {
        Err("is no plain path that begins with \"/\"; parts of the path that matched cannot be put in".to_owned())
    }
}

pub(super) fn cookie_name(text: &str) -> Result<Arc<str>, String> {
    if table::is_cookie_name(text) {
        Ok(text.into())
    } else {
        Err("is no cookie's name; write up to 64 letters, digits, \"-\" and \"_\"".to_owned())
    }
}

pub(super) fn cookie_path(text: &str) -> Result<Arc<str>, String> {
    if table::is_cookie_path(text) {
        Ok(text.into())
    } else {
        Err("is no cookie's path; write one such as \"/\"".to_owned())
    }
}

pub(super) fn same_site(text: &str) -> Result<Arc<str>, String> {
    ["Strict", "Lax", "None"]
        .into_iter()
        .find(|word| word.eq_ignore_ascii_case(text))
        .map(Arc::from)
        .ok_or_else(|| "is none of Strict, Lax and None".to_owned())
}

/// `Name: value`, one a line. What is wrong is told by the line's number: a value may be secret.
pub(super) fn headers(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let headers: Result<Vec<_>, String> = lines
        .map(|(number, line)| {
            let refused = || format!("has no header \"Name: value\" in line {}", number + 1);
            let (name, value) = line.split_once(':').ok_or_else(refused)?;
            let value = HeaderValue::from_str(value.trim()).map_err(|_| refused())?;
            Ok((header_name(name)?, value))
        })
        .collect();
    bounded(headers?)
}

/// Names of headers, separated by commas or lines.
pub(super) fn header_names(text: &str) -> Result<Vec<HeaderName>, String> {
    let names = text.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty());
    bounded(names.map(header_name).collect::<Result<_, _>>()?)
}

fn header_name(text: &str) -> Result<HeaderName, String> {
    let name: HeaderName =
        text.trim().parse().map_err(|_| "has a header with an illegal name".to_owned())?;
    if table::is_framing(&name) || UNTOUCHABLE.contains(&name) {
        return Err(format!("names the header {name}, which belongs to the connection"));
    }
    Ok(name)
}

fn bounded<T>(list: Vec<T>) -> Result<Vec<T>, String> {
    if list.len() > MAX_HEADERS {
        return Err(format!("has more than {MAX_HEADERS} headers"));
    }
    Ok(list)
}

/// `name:port`, the port by number or name.
pub(super) fn service(text: &str) -> Result<(Arc<str>, Port), String> {
    let refused = || "is no \"name:port\" of a Service".to_owned();
    let (name, port_text) = text.split_once(':').ok_or_else(refused)?;
    let port = port_text.parse().ok().and_then(|number| port(Some(number), ""));
    let port = port.or_else(|| self::port(None, port_text)).ok_or_else(refused)?;
    if is_name(name) { Ok((name.into(), port)) } else { Err(refused()) }
}

/// A Service's port, by number or else by name.
pub(super) fn port(number: Option<i64>, name: &str) -> Option<Port> {
    if let Some(number) = number {
        return u16::try_from(number).ok().filter(|port| *port > 0).map(Port::Number);
    }
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_port = !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(is_legal)
        && !name.bytes().all(|byte| byte.is_ascii_digit());
    is_port.then(|| Port::Name(name.into()))
}

/// A rule's host: none is any, `*.` in front stands for one label.
pub(super) fn host(text: &str) -> Result<Host, String> {
    if text.is_empty() {
        return Ok(Host::Any);
    }
    let (is_wildcard, name) =
        text.strip_prefix("*.").map_or((false, text), |suffix| (true, suffix));
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(
            "is no host; write a name in DNS, with \"*.\" in front for any first label".to_owned()
        );
    }
    let name = name.to_ascii_lowercase().into();
    Ok(if is_wildcard { Host::Wildcard(name) } else { Host::Exact(name) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        for (text, expected) in [
            ("60", Some(60_000)),
            ("60s", Some(60_000)),
            ("250ms", Some(250)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("0", None),
            ("", None),
            ("s", None),
            ("-1", None),
            ("1.5s", None),
            ("25h", None),
            ("99999999999999999999", None),
            ("18446744073709551615h", None),
        ] {
            assert_eq!(timeout(text).ok(), expected.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, expected) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("8m", Some(8 << 20)),
            ("8Mi", Some(8 << 20)),
            ("1k", Some(1_024)),
            ("2G", Some(2 << 30)),
            ("", None),
            ("m", None),
            ("8MB", None),
            ("18446744073709551615g", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn hosts_are_exact_wildcard_or_any_and_nothing_else() {
        assert_eq!(host(""), Ok(Host::Any));
        assert_eq!(host("Shop.Example.com"), Ok(Host::Exact("shop.example.com".into())));
        assert_eq!(host("*.example.com"), Ok(Host::Wildcard("example.com".into())));
        for bad in ["*", "*.", "a.*.b", "a..b", "a.", ".a", "a:80", "-a", "a b", "é", "[::1]"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn headers_of_the_connection_are_refused_and_values_are_not_told() {
        let read = headers("X-Team: shop\n\n X-Empty:\n").unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].0, "x-team");
        assert_eq!(read[0].1, "shop");
        for bad in ["Connection: close", "Host: a", "no header", "X Y: z", "transfer-encoding: x"] {
            assert!(headers(bad).is_err(), "{bad}");
        }
        assert!(!headers("X-Key: fine\ns3cret\u{7}").unwrap_err().contains("s3cret"));
        assert_eq!(header_names("X-A, x-b\nX-C").unwrap().len(), 3);
    }

    #[test]
    fn services_have_a_name_and_a_port() {
        assert_eq!(service("web:80"), Ok(("web".into(), Port::Number(80))));
        assert_eq!(service("web:http"), Ok(("web".into(), Port::Name("http".into()))));
        for bad in ["web", "web:", ":80", "web:0", "web:65536", "a/b:80", "web:a:b"] {
            assert!(service(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_any_of_them_panic(text in ".{0,80}") {
            let _ = (timeout(&text), size(&text), host(&text), service(&text), headers(&text));
            let _ = (header_names(&text), path(&text), cookie_name(&text), percent(&text));
        }
    }
}
