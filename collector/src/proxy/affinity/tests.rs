use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::proxy::service::Port;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const OLD: &str = "an older key that still verifies everything";

fn service(namespace: &str, name: &str) -> ServiceKey {
    ServiceKey { namespace: namespace.into(), name: name.into(), port: Port::Number(80) }
}

fn keys(text: &str) -> Keys {
    Keys::parse(text.as_bytes(), Path::new("key")).unwrap()
}

fn affinity() -> Affinity {
    Affinity { cookie: "route".into(), max_age: None, path: "/".into(), same_site: None }
}

#[test]
fn cookie_names_the_pod_it_was_signed_for_on_every_node_with_the_key() {
    let value = keys(KEY).sign(&service("shop", "api"), "uid-1");
    assert_eq!(value.len(), COOKIE_TEXT);
    let found = keys(KEY).verify(&service("shop", "api"), value.as_bytes());
    assert_eq!(found, Some(EndpointTag::of("uid-1")));
    assert_ne!(EndpointTag::of("uid-1"), EndpointTag::of("uid-2"));
}

#[test]
fn cookie_of_another_service_or_key_is_worth_nothing() {
    let value = keys(KEY).sign(&service("shop", "api"), "uid-1");
    for other in [service("shop", "app"), service("shopa", "pi"), service("sho", "papi")] {
        assert_eq!(keys(KEY).verify(&other, value.as_bytes()), None, "{other:?}");
    }
    assert_eq!(keys(OLD).verify(&service("shop", "api"), value.as_bytes()), None);
    let made = Keys::load(None).unwrap();
    assert_eq!(made.verify(&service("shop", "api"), value.as_bytes()), None);
}

#[test]
fn port_may_be_written_as_number_or_name() {
    let named = ServiceKey { port: Port::Name("http".into()), ..service("shop", "api") };
    let value = keys(KEY).sign(&service("shop", "api"), "uid-1");
    assert!(keys(KEY).verify(&named, value.as_bytes()).is_some());
}

#[test]
fn first_key_signs_and_all_verify() {
    let service = service("shop", "api");
    let rotated = keys(&format!("{KEY}\n\n{OLD}\r\n"));
    let before = keys(OLD).sign(&service, "uid-1");
    assert!(rotated.verify(&service, before.as_bytes()).is_some());
    let after = rotated.sign(&service, "uid-1");
    assert!(keys(KEY).verify(&service, after.as_bytes()).is_some());
    assert!(keys(OLD).verify(&service, after.as_bytes()).is_none());
}

#[test]
fn bad_key_file_is_told_by_line_and_never_shown() {
    let parse = |text: &str| Keys::parse(text.as_bytes(), Path::new("/run/key")).unwrap_err();
    let short = parse(&format!("{KEY}\nsecret\n"));
    assert!(short.to_string().starts_with("line 2 of the affinity key /run/key has 6 bytes"));
    assert!(!format!("{short} {short:?}").contains("secret"));
    assert!(matches!(parse(" \n\n"), KeyError::Empty { .. }));
    assert!(matches!(parse(&format!("{KEY}\n").repeat(17)), KeyError::TooLarge { .. }));
    let absent = Keys::load(Some(Path::new("/nonexistent/key"))).unwrap_err();
    assert!(matches!(absent, KeyError::Io { .. }));
    assert!(!format!("{:?}", keys(KEY)).contains(KEY));
}

#[test]
fn set_cookie_writes_what_the_route_asks_for() {
    let check = |affinity: &Affinity, secure, expected: &str| {
        let header = set_cookie(affinity, "v", secure).unwrap();
        assert_eq!(header.to_str().unwrap(), expected);
    };
    check(&affinity(), false, "route=v; Path=/; HttpOnly");
    check(&affinity(), true, "route=v; Path=/; Secure; HttpOnly");
    let all = Affinity {
        max_age: Some(Duration::from_secs(3600)),
        same_site: Some("None".into()),
        ..affinity()
    };
    check(&all, true, "route=v; Path=/; Max-Age=3600; SameSite=None; Secure; HttpOnly");
    check(&all, false, "route=v; Path=/; Max-Age=3600; HttpOnly");
}

#[test]
fn cookie_that_would_add_attributes_is_not_written() {
    for cookie in ["", "a b", "a=b", "a;b", "a\r\n", "ü"] {
        let affinity = Affinity { cookie: cookie.into(), ..affinity() };
        assert_eq!(set_cookie(&affinity, "v", true), None, "{cookie:?}");
    }
    let path: Arc<str> = "/; Domain=example.com".into();
    assert_eq!(set_cookie(&Affinity { path, ..affinity() }, "v", true), None);
}

proptest! {
    #[test]
    fn any_id_and_service_comes_back(namespace in "[a-z0-9-]{0,20}", name in "[a-z0-9-]{1,20}", id in ".*") {
        let service = service(&namespace, &name);
        let value = keys(KEY).sign(&service, &id);
        prop_assert_eq!(keys(KEY).verify(&service, value.as_bytes()), Some(EndpointTag::of(&id)));
    }

    #[test]
    fn whatever_is_not_signed_never_verifies(value in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert_eq!(keys(KEY).verify(&service("shop", "api"), &value), None);
    }

    #[test]
    fn well_formed_forgery_never_verifies(value in "[A-Za-z0-9_-]{64}") {
        prop_assert_eq!(keys(KEY).verify(&service("shop", "api"), value.as_bytes()), None);
    }

    #[test]
    fn changed_or_cut_value_never_verifies(at in 0..COOKIE_TEXT, to in any::<u8>()) {
        let service = service("shop", "api");
        let mut value = keys(KEY).sign(&service, "uid-1").into_bytes();
        prop_assert_eq!(keys(KEY).verify(&service, &value[..at]), None);
        prop_assume!(value[at] != to);
        value[at] = to;
        prop_assert_eq!(keys(KEY).verify(&service, &value), None);
    }
}
