use super::super::testing::{Ca, Pair, origin};
use super::*;

fn certificates() -> Certificates {
    Certificates::new(super::super::provider(), Protocols::Http2)
}

fn reasons(faults: &[Fault]) -> Vec<&'static str> {
    faults.iter().map(|fault| fault.reason).collect()
}

/// Whose certificate this host is shown.
fn shown(certificates: &Certificates, host: Option<&str>) -> Option<String> {
    let names = certificates.names.load();
    names.of(host).map(|parsed| parsed.written.origin.name.to_string())
}

fn check(certificates: &Certificates, expected: &[(&str, &str)]) {
    for (host, name) in expected {
        assert_eq!(shown(certificates, Some(host)).as_deref(), Some(*name), "{host}");
    }
}

#[test]
fn exact_goes_before_wildcard_before_default() {
    let ca = Ca::new("ca");
    let certificates = certificates();
    assert_eq!(shown(&certificates, None), None);
    let told = vec![
        ca.host(&["default.example"]).told(Source::Ingress, "default", &[]),
        ca.host(&["*.Shop.example", "shop.example"]).told(Source::Ingress, "wild", &[]),
        ca.host(&["api.shop.example"]).told(Source::Ingress, "exact", &[]),
    ];
    assert_eq!(certificates.told(Source::Ingress, told), []);
    check(
        &certificates,
        &[
            ("api.shop.example", "exact"),
            ("www.shop.example", "wild"),
            ("shop.example", "wild"),
            ("a.b.shop.example", "default"),
            ("example", "default"),
            ("elsewhere.example", "default"),
        ],
    );
    assert_eq!(shown(&certificates, None).as_deref(), Some("default"));
}

#[test]
fn file_goes_before_ingress_and_first_before_second() {
    let ca = Ca::new("ca");
    let certificates = certificates();
    let pair = ca.host(&["shop.example"]);
    let ingress =
        vec![pair.told(Source::Ingress, "first", &[]), pair.told(Source::Ingress, "second", &[])];
    certificates.told(Source::Ingress, ingress);
    check(&certificates, &[("shop.example", "first"), ("other", "first")]);
    certificates.told(Source::File, vec![pair.told(Source::File, "file", &[])]);
    check(&certificates, &[("shop.example", "file"), ("other", "file")]);
    certificates.told(Source::File, Vec::new());
    check(&certificates, &[("shop.example", "first")]);
    certificates.told(Source::Ingress, Vec::new());
    assert_eq!(shown(&certificates, Some("shop.example")), None);
}

#[test]
fn given_hosts_replace_the_certificates_own_and_are_checked() {
    let ca = Ca::new("ca");
    let certificates = certificates();
    let pair = ca.host(&["*.shop.example", "own.example"]);
    let hosts = ["www.shop.example", "Other.example.", "a..b", "*"];
    let told = vec![
        ca.host(&["default.example"]).told(Source::Ingress, "default", &[]),
        pair.told(Source::Ingress, "given", &hosts),
    ];
    let faults = certificates.told(Source::Ingress, told);
    assert_eq!(reasons(&faults), ["host_not_named", "host", "host"]);
    check(
        &certificates,
        &[("www.shop.example", "given"), ("other.example", "given"), ("own.example", "default")],
    );
}

#[test]
fn certificate_does_not_take_a_host_from_one_that_names_it() {
    let ca = Ca::new("ca");
    let certificates = certificates();
    let foreign = ca.host(&["foreign.example"]);
    let hosts = ["www.shop.example", "own.example", "nobody.example", "*.shop.example"];
    let told = vec![
        foreign.told(Source::Ingress, "foreign", &hosts),
        ca.host(&["own.example"]).told(Source::Ingress, "own", &["own.example"]),
    ];
    certificates.told(Source::Ingress, told);
    let wild = ca.host(&["*.shop.example"]).told(Source::File, "wild", &[]);
    certificates.told(Source::File, vec![wild]);
    check(
        &certificates,
        &[
            ("www.shop.example", "wild"),
            ("api.shop.example", "wild"),
            ("own.example", "own"),
            ("nobody.example", "foreign"),
        ],
    );
}

#[test]
fn broken_certificate_is_a_fault_and_the_last_good_one_stays() {
    let ca = Ca::new("ca");
    let certificates = certificates();
    let good = ca.host(&["shop.example"]);
    let other = ca.host(&["other.example"]).told(Source::File, "other", &[]);
    let tell = |pair: &Pair| {
        certificates.told(Source::File, vec![pair.told(Source::File, "shop", &[]), other.clone()])
    };
    let bad = |chain: &str, key: &str| Pair { chain: chain.into(), key: key.into() };
    // Nothing good before: the others go on working.
    assert_eq!(reasons(&tell(&bad("", &good.key))), ["empty"]);
    check(&certificates, &[("shop.example", "other")]);
    assert_eq!(tell(&good), []);
    check(&certificates, &[("shop.example", "shop")]);
    let cut = &good.chain[..good.chain.len() - 30];
    for (pair, reason) in [
        (bad("", &good.key), "empty"),
        (bad(cut, &good.key), "pem"),
        (
            bad("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &good.key),
            "unusable",
        ),
        (bad(&good.chain, ""), "empty"),
        (
            bad(&good.chain, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            "unusable",
        ),
        (bad(&good.chain, &ca.host(&["shop.example"]).key), "key_mismatch"),
        (bad(&good.key, &good.chain), "empty"),
    ] {
        let faults = tell(&pair);
        assert_eq!(reasons(&faults), [reason]);
        assert_eq!(faults[0].origin, origin(Source::File, "shop"));
        assert!(!pem::is_note(&faults[0]));
        check(&certificates, &[("shop.example", "shop"), ("other.example", "other")]);
    }
    // Gone is gone: its last good one is not kept.
    certificates.told(Source::File, vec![other.clone()]);
    assert_eq!(reasons(&tell(&bad("", ""))), ["empty"]);
    check(&certificates, &[("shop.example", "other")]);
}

#[test]
fn expired_certificate_is_used_and_told() {
    let ca = Ca::new("ca");
    let certificates = certificates();
    let told = vec![
        ca.until(&["old.example"], 2020).told(Source::File, "old", &[]),
        ca.until(&["shop.example"], 4000).told(Source::File, "shop", &[]),
    ];
    let faults = certificates.told(Source::File, told);
    assert_eq!(reasons(&faults), ["expired"]);
    assert!(pem::is_note(&faults[0]));
    check(&certificates, &[("old.example", "old")]);
    let mut expiries = certificates.expiries();
    expiries.sort();
    let seconds =
        |at: usize| expiries[at].1.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!((seconds(0), &*expiries[0].0.name), (1_577_836_800, "old"));
    assert_eq!(expiries.len(), 2);
}

#[test]
fn connection_covers_hosts_of_its_certificate_only() {
    let ca = Ca::new("ca");
    let certificates = certificates();
    let pair = ca.host(&["a.example", "*.b.example"]);
    let twice = ca.host(&["c.example", "d.example"]);
    let told = vec![
        ca.host(&["default.example"]).told(Source::Ingress, "default", &[]),
        pair.told(Source::Ingress, "pair", &[]),
        // One Secret in two Ingresses.
        twice.told(Source::Ingress, "twice", &["c.example"]),
        twice.told(Source::Ingress, "twice", &["d.example"]),
    ];
    assert_eq!(certificates.told(Source::Ingress, told), []);
    for (name, host, expected) in [
        (Some("a.example"), "a.example", true),
        (Some("a.example"), "x.b.example", true),
        (Some("c.example"), "d.example", true),
        (Some("a.example"), "c.example", false),
        (Some("a.example"), "unknown.example", false),
        (Some("unknown.example"), "a.example", false),
        (Some("unknown.example"), "other.example", true),
        (None, "a.example", true),
    ] {
        assert_eq!(certificates.covers(name, host), expected, "{name:?} {host}");
    }
}

#[test]
fn no_key_is_in_what_could_be_logged() {
    let certificates = certificates();
    let pair = Ca::new("ca").host(&["shop.example"]);
    let told = pair.told(Source::File, "shop", &[]);
    let line = pair.key.lines().nth(1).unwrap().to_owned();
    assert!(!format!("{told:?}").contains(&line));
    // A key in the place of the chain, and cut.
    let wrong = Pair { chain: pair.key[..80].to_owned(), key: pair.key[..80].to_owned() };
    let faults = certificates.told(Source::File, vec![wrong.told(Source::File, "shop", &[])]);
    assert!(!format!("{faults:?} {certificates:?}").contains(&line[..16]));
}
