//! The settings proper: addresses, limits, timeouts and the choice of pods.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use collector::proxy::settings::{
    AccessLog, Balance, Drain, Ejection, Limits, Prefer, Retry, Settings, Timeouts,
};
use ipnet::IpNet;

use super::tls;
use crate::config::file::addresses;
use crate::config::section::Section;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Bodies may be as large as a file can be.
pub(super) const BODY: RangeInclusive<u64> = 0..=1 << 50;
/// For a connection to a pod.
pub(super) const CONNECT: RangeInclusive<Duration> = Duration::from_millis(1)..=MINUTE;
/// For an answer or a part of one.
pub(super) const WAIT: RangeInclusive<Duration> = Duration::from_millis(10)..=DAY;
/// For a whole request; zero is no bound.
pub(super) const REQUEST: RangeInclusive<Duration> = Duration::ZERO..=DAY;

const NETWORK: &str =
    "a network; write one such as \"10.0.0.0/8\", or an address such as \"10.0.0.1\"";
const PROTOCOL: &str = "a protocol that a connection can be upgraded to; write a token such as \"tftp\", \
                        but not HTTP/2, which is spoken without an upgrade";

/// Puts a value that was written into its place.
fn put<T>(slot: &mut T, written: Option<T>) {
    if let Some(value) = written {
        *slot = value;
    }
}

pub(super) fn read(proxy: &mut Section<'_>) -> Settings {
    let mut settings = Settings {
        listen: addresses(proxy, "listen", 8080).unwrap_or_default(),
        listen_tls: addresses(proxy, "listen_tls", 8443).unwrap_or_default(),
        workers: proxy.number("workers", 0..=256).unwrap_or_default(),
        tls: proxy.inside("tls", tls::read),
        trusted: proxy.parsed_list("trusted", NETWORK, network),
        proxy_protocol: proxy.parsed_list("proxy_protocol", NETWORK, network),
        upgrades: proxy.parsed_list("upgrades", PROTOCOL, |text| {
            let lower = text.to_ascii_lowercase();
            let is_refused = matches!(&*lower, "h2c" | "h2" | "http/2.0" | "tls/1.0");
            (is_token(&lower) && !is_refused).then(|| lower.into())
        }),
        affinity_key: proxy.text("affinity_key").map(PathBuf::from),
        ejection: proxy.inside("ejection", ejection),
        retry: proxy.inside("retry", retry),
        timeouts: proxy.inside("timeouts", timeouts),
        limits: proxy.inside("limits", limits),
        drain: proxy.inside("drain", drain),
        access_log: proxy.optional("access_log", |log| {
            let path = log.text("path").map(PathBuf::from);
            Some(AccessLog { path, sample: log.part("sample").unwrap_or(1.0) })
        }),
        ..Settings::default()
    };
    put(&mut settings.balance, proxy.parsed("balance", BALANCES, balance));
    put(&mut settings.prefer, proxy.parsed("prefer", PREFERENCES, prefer));
    settings
}

const BALANCES: &str = "peak_ewma, round_robin or least_request";

fn balance(text: &str) -> Option<Balance> {
    Some(match text {
        "peak_ewma" => Balance::PeakEwma,
        "round_robin" => Balance::RoundRobin,
        "least_request" => Balance::LeastRequest,
        _ => return None,
    })
}

const PREFERENCES: &str = "none, same_node or same_zone";

fn prefer(text: &str) -> Option<Prefer> {
    Some(match text {
        "none" => Prefer::None,
        "same_node" => Prefer::SameNode,
        "same_zone" => Prefer::SameZone,
        _ => return None,
    })
}

fn network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().ok();
    network.map(|network| network.trunc()).or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(&b))
}

fn timeouts(section: &mut Section<'_>) -> Timeouts {
    let mut timeouts = Timeouts::default();
    let short = Duration::from_millis(100);
    for (key, slot, range) in [
        ("connect", &mut timeouts.connect, CONNECT),
        ("first_byte", &mut timeouts.first_byte, WAIT),
        ("idle", &mut timeouts.idle, WAIT),
        ("tunnel", &mut timeouts.tunnel, WAIT),
        ("request", &mut timeouts.request, REQUEST),
        ("client_head", &mut timeouts.client_head, short..=5 * MINUTE),
        ("client_idle", &mut timeouts.client_idle, short..=HOUR),
        ("backend_idle", &mut timeouts.backend_idle, short..=HOUR),
    ] {
        put(slot, section.duration_in(key, range));
    }
    timeouts
}

fn limits(section: &mut Section<'_>) -> Limits {
    let mut limits = Limits::default();
    for (key, slot, range) in [
        ("connections", &mut limits.connections, 1..=1_000_000),
        ("connections_per_address", &mut limits.connections_per_address, 0..=1_000_000),
        ("headers", &mut limits.headers, 16..=1_000),
        ("backend_connections", &mut limits.backend_connections, 1..=1_000_000),
        ("backend_idle", &mut limits.backend_idle, 0..=10_000),
        ("series", &mut limits.series, 16..=100_000),
    ] {
        put(slot, section.number(key, range));
    }
    // hyper refuses to work with a smaller buffer, and a larger one is for every connection.
    let head = section.bytes("head_bytes", 8 << 10..=1 << 20);
    put(&mut limits.head_bytes, head.and_then(|bytes| usize::try_from(bytes).ok()));
    put(&mut limits.body_bytes, section.bytes("body_bytes", BODY));
    put(&mut limits.streams, small(section, "streams", 1..=10_000));
    limits
}

fn small(
    section: &mut Section<'_>,
    key: &'static str,
    range: RangeInclusive<usize>,
) -> Option<u32> {
    section.number(key, range).and_then(|number| u32::try_from(number).ok())
}

fn ejection(section: &mut Section<'_>) -> Ejection {
    let mut ejection = Ejection::default();
    put(&mut ejection.consecutive, small(section, "consecutive", 0..=1_000));
    let least = Duration::from_millis(100);
    put(&mut ejection.pause, section.duration_in("pause", least..=HOUR));
    put(&mut ejection.max_pause, section.duration_in("max_pause", least..=DAY));
    if ejection.max_pause < ejection.pause {
        let pause = humantime::format_duration(ejection.pause);
        section.wrong::<()>("max_pause", format_args!("less than the first pause of {pause}"));
    }
    ejection
}

fn retry(section: &mut Section<'_>) -> Retry {
    let mut retry = Retry::default();
    put(&mut retry.attempts, small(section, "attempts", 0..=10));
    put(&mut retry.budget_percent, small(section, "budget_percent", 0..=100));
    put(&mut retry.budget_min, small(section, "budget_min", 0..=10_000));
    retry
}

fn drain(section: &mut Section<'_>) -> Drain {
    let mut drain = Drain::default();
    put(&mut drain.delay, section.duration_in("delay", Duration::ZERO..=HOUR));
    put(&mut drain.timeout, section.duration_in("timeout", Duration::ZERO..=HOUR));
    if drain.delay + drain.timeout > HOUR {
        section.wrong_here::<()>(
            "delay and timeout are more than an hour together; the pod's terminationGracePeriodSeconds has to be longer than both",
        );
    }
    drain
}
