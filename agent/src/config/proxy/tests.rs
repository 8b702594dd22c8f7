//! What the `proxy` section means but for its lists, and what is said of its faults.

mod lists;

use std::io::Write;
use std::time::Duration;

use collector::proxy::settings::{AccessLog, AuthoritiesFrom, Balance, Prefer, Timeouts};

use super::*;
use crate::cli::Launch;
use crate::config::file::{KEYS, parse};
use crate::config::{self, Faults};

fn checked(text: &str, launch: &Launch) -> Result<Option<Proxy>, Vec<String>> {
    let mut faults = Faults::default();
    let host = config::Host { hostname: "worker-1".to_owned(), in_cluster: true, namespace: None };
    let launch = Launch { node: Some("worker-1".to_owned()), ..launch.clone() };
    let file = parse("podmeter.yaml", text, &mut faults);
    let settings = config::settings::validate(file, &launch, &host, &mut faults);
    let lines: Vec<_> = faults.lines().map(str::to_owned).collect();
    if lines.is_empty() { Ok(settings.proxy) } else { Err(lines) }
}

/// The section of these lines, as it is in a cluster; the proxy listens.
fn proxy(lines: &str) -> Proxy {
    checked(&section(lines), &Launch::default()).unwrap().unwrap()
}

fn section(lines: &str) -> String {
    format!("proxy:\n  listen: [\"127.0.0.1:8080\"]\n{lines}")
}

fn faults(lines: &str) -> Vec<String> {
    checked(&section(lines), &Launch::default()).unwrap_err()
}

#[test]
fn nothing_that_listens_is_no_proxy() {
    for text in ["", "proxy:\n", "proxy: {prefer: same_node, tls: {backend_ca: /no/such/file}}"] {
        assert_eq!(checked(text, &Launch::default()), Ok(None), "{text}");
    }
}

#[test]
fn an_address_alone_is_a_proxy_with_every_default() {
    let proxy = proxy("");
    let settings = Settings {
        node: "worker-1".into(),
        listen: vec!["127.0.0.1:8080".parse().unwrap()],
        ..Settings::default()
    };
    assert_eq!(proxy, Proxy { settings, ..Proxy::default() });
}

#[test]
fn every_setting_is_read() {
    let Proxy { settings, ingress_class, publish, .. } = proxy(
        "
  workers: 3
  ingress_class: podmeter
  publish_address: [\"203.0.113.7\", \"2001:db8::1\", Proxy.Example.com]
  trusted: [\"10.1.2.3/8\", \"192.0.2.1\"]
  proxy_protocol: \"fd00::/8\"
  upgrades: [TFTP]
  balance: least_request
  prefer: same_zone
  access_log: {path: /var/log/podmeter.log, sample: 0.25}
  timeouts: {connect: 2s, request: 0s}
  limits: {head_bytes: 8KiB, body_bytes: 10MiB, streams: 7}
  ejection: {consecutive: 0, pause: 1s, max_pause: 2s}
  retry: {attempts: 0}
  drain: {delay: 0s, timeout: 1m}
",
    );
    assert_eq!(settings.workers, 3);
    assert_eq!(ingress_class.as_deref(), Some("podmeter"));
    assert_eq!(publish, ["203.0.113.7", "2001:db8::1", "proxy.example.com"].map(Arc::from));
    assert_eq!(format!("{:?}", settings.trusted), "[10.0.0.0/8, 192.0.2.1/32]");
    assert_eq!(settings.proxy_protocol.len(), 1);
    assert_eq!(settings.upgrades, [Arc::from("tftp")]);
    assert_eq!((settings.balance, settings.prefer), (Balance::LeastRequest, Prefer::SameZone));
    let path = Some("/var/log/podmeter.log".into());
    assert_eq!(settings.access_log, Some(AccessLog { path, sample: 0.25 }));
    let timeouts = Timeouts { connect: Duration::from_secs(2), ..Timeouts::default() };
    assert_eq!(settings.timeouts, timeouts);
    assert_eq!((settings.limits.head_bytes, settings.limits.body_bytes), (8_192, 10 << 20));
    assert_eq!((settings.limits.streams, settings.limits.headers), (7, 100));
    assert_eq!((settings.ejection.consecutive, settings.retry.attempts), (0, 0));
    assert_eq!((settings.drain.delay, settings.drain.timeout.as_secs()), (Duration::ZERO, 60));
}

#[test]
fn access_log_is_on_or_off_in_a_word() {
    let log = |lines| proxy(lines).settings.access_log;
    assert_eq!(log("  access_log: true"), Some(AccessLog { path: None, sample: 1.0 }));
    assert_eq!(log("  access_log: false"), None);
    assert_eq!(
        faults("  access_log: yes please"),
        ["proxy.access_log: a text where keys are expected; write \"key: value\" lines"]
    );
}

#[test]
fn settings_out_of_their_bounds_are_told_all_at_once() {
    assert_eq!(
        faults(
            "
  workers: 1000
  trusted: [10.0.0.0/33]
  upgrades: [h2c]
  balance: random
  access_log: {sample: 2}
  timeouts: {connect: 1h, idle: 5}
  limits: {head_bytes: 4KiB, headers: 1, body_bytes: lots}
  ejection: {pause: 10m}
  drain: {delay: 50m, timeout: 20m}
  publish_address: [\"a b\", \"10.0.0.1:80\"]
  listen_tsl: []
"
        ),
        [
            "proxy.workers: 1000 is not a whole number from 0 to 256",
            "proxy.trusted[0]: \"10.0.0.0/33\" is not a network; write one such as \"10.0.0.0/8\", or an address such as \"10.0.0.1\"",
            "proxy.upgrades[0]: \"h2c\" is not a protocol that a connection can be upgraded to; write a token such as \"tftp\", but not HTTP/2, which is spoken without an upgrade",
            "proxy.ejection.max_pause: less than the first pause of 10m",
            "proxy.timeouts.connect: 1h is not from 1ms to 1m",
            "proxy.timeouts.idle: 5 is not a duration; write it with a unit, such as 10s or 1m30s",
            "proxy.limits.headers: 1 is not a whole number from 16 to 1000",
            "proxy.limits.head_bytes: \"4KiB\" is not from 8192 to 1048576 bytes",
            "proxy.limits.body_bytes: \"lots\" is no amount of bytes; write one such as 64KiB, 10MiB or 1GiB",
            "proxy.drain: delay and timeout are more than an hour together; the pod's terminationGracePeriodSeconds has to be longer than both",
            "proxy.access_log.sample: 2 is not a number from 0 to 1",
            "proxy.balance: \"random\" is not peak_ewma, round_robin or least_request",
            "proxy.publish_address[0]: \"a b\" is not an IP address or a host name",
            "proxy.publish_address[1]: \"10.0.0.1:80\" is not an IP address or a host name",
            "proxy.listen_tsl: unknown key; did you mean \"listen_tls\"?",
        ]
    );
}

#[test]
fn one_address_serves_one_thing() {
    let said = faults(
        "  listen_tls: [\"0.0.0.0:8080\", \"127.0.0.1:9464\", \"[::1]:8080\"]\n  ingress_class: a",
    );
    assert_eq!(
        said,
        [
            "proxy.listen_tls[0]: 0.0.0.0:8080 is taken by 127.0.0.1:8080 already; remove one of them",
            "proxy.listen_tls[1]: 127.0.0.1:9464 is taken by listen (0.0.0.0:9464), where the metrics are served; choose another port",
        ]
    );
    let nine = format!(
        "proxy: {{listen: {:?}}}",
        (1..=9).map(|n| format!("[::]:{n}")).collect::<Vec<_>>()
    );
    assert_eq!(
        checked(&nine, &Launch::default()),
        Err(vec!["proxy.listen: more than 8 addresses".to_owned()])
    );
    assert_eq!(
        checked("proxy: {listen_tls: [\"10.0.0.1\", 443]}", &Launch::default()).unwrap_err()[0],
        "proxy.listen_tls[1]: a number where a text is expected"
    );
}

#[test]
fn files_are_opened_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: usize| {
        let path = dir.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(&vec![b'x'; bytes]).unwrap();
        path.display().to_string()
    };
    let (pem, short, empty) = (file("pem", 40), file("short", 31), file("empty", 0));
    let lines = |pem: &str, key: &str, ca: &str| {
        format!(
            "  listen_tls: [\"127.0.0.1:8443\"]
  affinity_key: {key}
  tls:
    certificates: [{{certificate: {pem}, key: {pem}}}]
    clients: {{ca: {ca}, required: false}}
    backend_ca: {pem}"
        )
    };
    let tls = proxy(&lines(&pem, &pem, &pem)).settings.tls;
    assert_eq!(tls.certificates.len(), 1);
    let clients = tls.clients.unwrap();
    assert!(
        !clients.required
            && matches!(clients.authorities, AuthoritiesFrom::Files { crl: None, .. })
    );
    let said = faults(&lines("/no/such", &short, &empty));
    let no_such = |key: &str| {
        format!("proxy.tls.{key}: cannot read /no/such: No such file or directory (os error 2)")
    };
    assert_eq!(
        said,
        [
            no_such("certificates[0].certificate"),
            no_such("certificates[0].key"),
            format!("proxy.tls.clients.ca: {empty} is empty"),
            no_such("backend_ca"),
            format!(
                "proxy.affinity_key: {short} has fewer than 32 bytes; make it with: head -c 32 /dev/urandom"
            ),
        ]
    );
}

#[test]
fn tls_says_who_signs_and_for_whom() {
    let clients = |text: &str| {
        faults(&format!(
            "  listen_tls: [\"127.0.0.1:8443\"]\n  ingress_class: a\n  tls: {{clients: {text}}}"
        ))
    };
    assert_eq!(
        clients("{secret: clients}")[0],
        "proxy.tls.clients.secret: \"clients\" is not a Secret; write its namespace and name, such as \"ingress/clients\""
    );
    assert_eq!(
        clients("{secret: a/b, ca: /x}")[0],
        "proxy.tls.clients.secret: excludes ca; leave one of them out"
    );
    assert_eq!(
        clients("true")[0],
        "proxy.tls.clients: says not who signs the certificates; write ca or secret"
    );
    assert_eq!(
        clients("{secret: a/b, crl: /x}")[0],
        "proxy.tls.clients.crl: goes with ca; of a Secret the key ca.crl is read"
    );
    assert!(
        faults("  tls: {clients: {secret: a/b}}")[0]
            .starts_with("proxy.tls.clients: only clients of listen_tls")
    );
    assert!(
        faults("  listen_tls: [\"127.0.0.1:8443\"]")[0]
            .starts_with("proxy.tls.certificates: empty, and there is no ingress_class")
    );
    assert_eq!(
        faults("  tls: {certificates: [{key: /x}, {}]}")[..2],
        [
            "proxy.tls.certificates[0].certificate: not set; write the path of the chain",
            "proxy.tls.certificates[1]: names no files; write certificate and key",
        ]
    );
}

/// The keys that the reader asks for at a place, as it tells them beside an unknown one.
fn known(text: &str, place: &str) -> Vec<String> {
    let said = faults(text);
    let line = said
        .iter()
        .find_map(|line| line.strip_prefix(&format!("{place}.zzzzzz: unknown key; known here: ")));
    let mut keys: Vec<String> =
        line.unwrap_or_else(|| panic!("{said:?}")).split(", ").map(str::to_owned).collect();
    keys.sort();
    keys
}

#[test]
fn keys_that_are_told_are_those_that_are_read() {
    let places = [
        ("proxy", "  zzzzzz: 1"),
        ("proxy.tls", "  tls: {zzzzzz: 1}"),
        ("proxy.tls.clients", "  tls: {clients: {zzzzzz: 1}}"),
        ("proxy.timeouts", "  timeouts: {zzzzzz: 1}"),
        ("proxy.limits", "  limits: {zzzzzz: 1}"),
        ("proxy.ejection", "  ejection: {zzzzzz: 1}"),
        ("proxy.retry", "  retry: {zzzzzz: 1}"),
        ("proxy.drain", "  drain: {zzzzzz: 1}"),
        ("proxy.access_log", "  access_log: {zzzzzz: 1}"),
        ("proxy.services[]", "  services: [{zzzzzz: 1}]"),
        ("proxy.services[].endpoints[]", "  services: [{endpoints: [{zzzzzz: 1}]}]"),
        ("proxy.routes[]", "  routes: [{zzzzzz: 1}]"),
        ("proxy.routes[].backends[]", "  routes: [{backends: [{zzzzzz: 1}]}]"),
        ("proxy.routes[].redirect", "  routes: [{redirect: {zzzzzz: 1}}]"),
        ("proxy.routes[].request", "  routes: [{request: {zzzzzz: 1}}]"),
        ("proxy.routes[].response", "  routes: [{response: {zzzzzz: 1}}]"),
        ("proxy.routes[].affinity", "  routes: [{affinity: {zzzzzz: 1}}]"),
        ("proxy.routes[].timeouts", "  routes: [{timeouts: {zzzzzz: 1}}]"),
    ];
    for (place, text) in places {
        let below = KEYS.iter().filter_map(|key| key.path.strip_prefix(place)?.strip_prefix('.'));
        let mut told: Vec<&str> = below
            .filter_map(|rest| rest.split('.').next())
            .map(|key| key.trim_end_matches("[]"))
            .collect();
        told.sort_unstable();
        told.dedup();
        assert_eq!(known(text, &place.replace("[]", "[0]")), told, "{place}");
    }
}

proptest::proptest! {
    #[test]
    fn no_section_makes_it_panic(
        route in "[a-z]{1,8}: ?[\\[{\"]?[a-z0-9:/*.]{0,8}[\\]}\"]?",
        key in proptest::sample::select(KEYS.to_vec()), value in "[\\[{\"]?[a-z0-9:/*.]{0,8}[\\]}\"]?|\\PC{0,8}",
    ) {
        let last = key.path.rsplit('.').next().unwrap().trim_end_matches("[]");
        for text in [
            format!("  {last}: {value}"),
            format!("  routes:\n    - {route}\n      {last}: {value}"),
            format!("  services:\n    - {route}\n      {last}: {value}"),
        ] {
            let _ = checked(&section(&text), &Launch::default());
        }
    }
}
