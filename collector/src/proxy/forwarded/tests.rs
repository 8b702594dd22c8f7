use proptest::prelude::*;

use super::*;

const LB: &str = "10.0.0.1:5000";
const STRANGER: &str = "203.0.113.9:5000";

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn peer(address: &str, tls: bool) -> Peer {
    let trust = Trust::new(&["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
    Peer::new(&trust, address.parse().unwrap(), tls, None)
}

fn client_ip(address: &str, lines: &[(&str, &str)]) -> String {
    peer(address, false).client(&headers(lines)).ip.to_string()
}

fn told(peer: &Peer, lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = headers(lines);
    let client = peer.client(&headers);
    let host = headers.get("host").cloned();
    peer.set(&mut headers, &client, host.as_ref());
    headers
}

fn check(peer: &Peer, before: &[(&str, &str)], after: &[(&str, &str)]) {
    assert_eq!(told(peer, before), headers(after), "{before:?}");
}

#[test]
fn stranger_is_itself_whatever_it_says() {
    let peer = peer(STRANGER, true);
    let said = headers(&[
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil"),
    ]);
    let client = peer.client(&said);
    assert_eq!(
        client,
        Client { ip: "203.0.113.9".parse().unwrap(), scheme: Scheme::Https, host: None }
    );
}

#[test]
fn trusted_balancer_that_announces_a_client_is_believed_about_the_scheme_alone() {
    let said = headers(&[("x-forwarded-proto", "https"), ("x-forwarded-for", "192.0.2.1")]);
    for (balancer, scheme) in [(LB, Scheme::Https), (STRANGER, Scheme::Http)] {
        let client = peer(STRANGER, false).told_by(balancer.parse().unwrap()).client(&said);
        let ip = "203.0.113.9".parse().unwrap();
        assert_eq!(client, Client { ip, scheme, host: None }, "{balancer}");
    }
}

#[test]
fn client_is_the_nearest_address_that_is_not_trusted() {
    for (lines, expected) in [
        (&[("x-forwarded-for", "192.0.2.1")][..], "192.0.2.1"),
        (&[("x-forwarded-for", "198.51.100.7, 192.0.2.1, 10.1.1.1")], "192.0.2.1"),
        (
            &[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.1.1.1,2001:db8::5")],
            "192.0.2.1",
        ),
        (&[("x-forwarded-for", "10.9.9.9, 10.1.1.1")], "10.9.9.9"),
        (&[("x-forwarded-for", "192.0.2.1, unknown, 10.1.1.1")], "10.1.1.1"),
        (&[("x-forwarded-for", "192.0.2.1, _hidden")], "10.0.0.1"),
        (&[("x-forwarded-for", "")], "10.0.0.1"),
        (
            &[("forwarded", "for=198.51.100.7, for=192.0.2.1, for=\"[2001:db8::5]:80\"")],
            "192.0.2.1",
        ),
        (&[("forwarded", "for=192.0.2.1"), ("forwarded", "for=10.1.1.1")], "192.0.2.1"),
        (&[("forwarded", "for=192.0.2.1, for=")], "10.0.0.1"),
        (&[("forwarded", "for=\"192.0.2.1"), ("forwarded", "for=10.1.1.1")], "10.1.1.1"),
        (&[("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "198.51.100.7")], "198.51.100.7"),
        (&[("x-real-ip", "192.0.2.1")], "192.0.2.1"),
        (&[], "10.0.0.1"),
    ] {
        assert_eq!(client_ip(LB, lines), expected, "{lines:?}");
    }
    assert_eq!(client_ip("[::ffff:10.0.0.1]:1", &[("x-forwarded-for", "192.0.2.1")]), "192.0.2.1");
}

#[test]
fn scheme_and_host_come_from_who_met_the_client() {
    let scheme = |lines: &[(&str, &str)]| peer(LB, false).client(&headers(lines)).scheme;
    assert_eq!(scheme(&[]), Scheme::Http);
    assert_eq!(scheme(&[("x-forwarded-proto", "HTTPS")]), Scheme::Https);
    assert_eq!(scheme(&[("x-forwarded-proto", "https, http")]), Scheme::Https);
    assert_eq!(scheme(&[("x-forwarded-proto", "gopher")]), Scheme::Http);
    let lines = [(
        "forwarded",
        "for=192.0.2.1;proto=https;host=\"shop.example:8443\", for=10.1.1.1;proto=http",
    )];
    let client = peer(LB, false).client(&headers(&lines));
    assert_eq!(client.scheme, Scheme::Https);
    assert_eq!(client.host.unwrap(), "shop.example:8443");
}

#[test]
fn strangers_headers_are_replaced_in_every_spelling() {
    check(
        &peer(STRANGER, true),
        &[
            ("host", "shop.example"),
            ("accept", "*/*"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-for", "192.0.2.2"),
            ("x_forwarded_for", "192.0.2.3"),
            ("x-forwarded_for", "192.0.2.3"),
            ("x-forwarded-prefix", "/admin"),
            ("x-forwarded-ssl", "on"),
            ("x-forwarded-client-cert", "Hash=1"),
            ("x-real-ip", "192.0.2.4"),
            ("x_real_ip", "192.0.2.4"),
            ("forwarded", "for=192.0.2.5"),
            ("true-client-ip", "192.0.2.6"),
        ],
        &[
            ("host", "shop.example"),
            ("accept", "*/*"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-real-ip", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-host", "shop.example"),
        ],
    );
}

#[test]
fn trusted_peers_headers_are_added_to() {
    check(
        &peer(LB, false),
        &[
            ("host", "internal"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-for", "10.1.1.1"),
            ("x_forwarded_for", "198.51.100.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example:8443"),
            ("x-forwarded-prefix", "/shop"),
            ("x-forwarded-client-cert", "Hash=1"),
            ("forwarded", "for=192.0.2.1"),
        ],
        &[
            ("host", "internal"),
            ("x-forwarded-for", "192.0.2.1, 10.1.1.1, 10.0.0.1"),
            ("x-real-ip", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example:8443"),
            ("x-forwarded-port", "8443"),
            ("x-forwarded-prefix", "/shop"),
            ("forwarded", "for=192.0.2.1, for=10.0.0.1;host=\"internal\";proto=http"),
        ],
    );
    let other = told(&peer(LB, false), &[("forwarded", "for=192.0.2.1")]);
    assert_eq!(other["x-forwarded-for"], "192.0.2.1, 10.0.0.1");
    assert_eq!(other["x-real-ip"], "192.0.2.1");
    let v6 = told(
        &peer("[2001:db8::1]:80", true),
        &[("forwarded", "for=a"), ("x-forwarded-port", "8080")],
    );
    assert_eq!(v6["forwarded"], "for=a, for=\"[2001:db8::1]\";proto=https");
    assert_eq!(v6["x-forwarded-port"], "8080");
    assert_eq!(v6["x-forwarded-for"], "2001:db8::1");
    assert!(!v6.contains_key("x-forwarded-host"));
}

#[test]
fn port_is_the_one_the_host_names() {
    for (host, tls, expected) in [
        ("shop.example", false, "80"),
        ("shop.example", true, "443"),
        ("shop.example:8080", false, "8080"),
        ("[2001:db8::1]:8080", false, "8080"),
        ("[2001:db8::1]", true, "443"),
        ("2001:db8::1", true, "443"),
        ("shop.example:", true, "443"),
        ("shop.example:99999999", true, "443"),
    ] {
        assert_eq!(
            told(&peer(STRANGER, tls), &[("host", host)])["x-forwarded-port"],
            expected,
            "{host}"
        );
    }
}

#[test]
fn certificate_is_told_only_when_it_was_verified_here() {
    let trust = Trust::new(&[]);
    let value = HeaderValue::from_static("Hash=ab");
    let peer = Peer::new(&trust, STRANGER.parse().unwrap(), true, Some(value));
    assert_eq!(
        told(&peer, &[("x-forwarded-client-cert", "Hash=cd")])["x-forwarded-client-cert"],
        "Hash=ab"
    );
}

#[test]
fn telling_the_pod_of_a_stranger_allocates_nothing() {
    let peer = peer(STRANGER, true);
    let tell = |mut headers: HeaderMap| {
        headers.reserve(32);
        let host = headers["host"].clone();
        let allocated = allocation_counter::measure(|| {
            let client = peer.client(&headers);
            peer.set(&mut headers, &client, Some(&host));
        });
        allocated.count_total
    };
    let request = || headers(&[("host", "shop.example"), ("accept", "*/*")]);
    // The first time shares the value that the connection keeps.
    tell(request());
    assert_eq!(tell(request()), 0);
}

proptest! {
    #[test]
    fn no_stranger_is_ever_believed(ip: std::net::Ipv4Addr, said in "[ -~]{0,60}") {
        prop_assume!(ip.octets()[0] != 10);
        let peer = peer(&format!("{ip}:1"), false);
        let after = told(&peer, &[("x-forwarded-for", &said), ("forwarded", &said), ("x-real-ip", &said)]);
        prop_assert_eq!(after["x-forwarded-for"].to_str().unwrap(), ip.to_string());
        prop_assert_eq!(after["x-real-ip"].to_str().unwrap(), ip.to_string());
        prop_assert!(!after.contains_key("forwarded"));
    }

    #[test]
    fn what_a_client_prepends_changes_nothing(
        forged in "[ -~]{0,40}",
        ip in any::<std::net::Ipv4Addr>().prop_filter("not trusted", |ip| ip.octets()[0] != 10),
        quote in any::<bool>(),
    ) {
        let said = format!("{forged}, {ip}, 10.1.1.1");
        prop_assert_eq!(client_ip(LB, &[("x-forwarded-for", &said)]), ip.to_string());
        let line = if quote { format!("for=\"{ip}\"") } else { format!("for={ip}") };
        prop_assert_eq!(client_ip(LB, &[("forwarded", &forged), ("forwarded", &line)]), ip.to_string());
    }

    #[test]
    fn any_header_from_a_trusted_peer_is_passed_on(said in proptest::collection::vec("[ -~]{0,30}", 1..3)) {
        let lines: Vec<_> = said.iter().flat_map(|it| [("x-forwarded-for", &**it), ("forwarded", &**it)]).collect();
        let after = told(&peer(LB, true), &lines);
        prop_assert!(after["x-forwarded-for"].as_bytes().ends_with(b"10.0.0.1"));
        prop_assert!(after["forwarded"].as_bytes().ends_with(b"for=10.0.0.1;proto=https"));
    }
}
