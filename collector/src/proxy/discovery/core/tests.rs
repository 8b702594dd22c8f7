//! The whole state without a network: what is followed, and what the proxy is told in which order.

use std::sync::Mutex;

use base64::Engine;
use serde_json::{Value, json};
use tokio::sync::watch::Sender;

use super::*;
use crate::proxy::control::{Authorities, Certificate, ToldTls};
use crate::proxy::route::Action;
use crate::proxy::service::{Port, Service};

/// Writes down what it is told. It wants the Services that routes name, and those it is made to want.
struct Recorder {
    said: Mutex<Vec<String>>,
    wanted: Sender<Arc<BTreeSet<ServiceKey>>>,
    refuses: Mutex<Vec<Fault>>,
    /// Of certificates and authorities.
    refuses_pem: Mutex<Vec<Fault>>,
}

impl ToldTls for Recorder {
    fn certificates(&self, _: Source, certificates: Vec<Certificate>) -> Vec<Fault> {
        let names = certificates.iter().map(|it| format!(" {}{:?}", it.origin.name, it.hosts));
        self.say(format!("certificates{}", names.collect::<String>()));
        self.refuses_pem.lock().unwrap().clone()
    }

    fn authorities(&self, authorities: Authorities) -> Vec<Fault> {
        self.say(format!("authorities, crl {}", authorities.crl.is_some()));
        self.refuses_pem.lock().unwrap().clone()
    }
}

impl Told for Recorder {
    fn routes(&self, _: Source, routes: Vec<Route>) -> Vec<Fault> {
        let refused = routes.iter().filter(|route| route.action == Action::Refuse).count();
        let refused = if refused > 0 { format!(" ({refused} refused)") } else { String::new() };
        self.say(format!("routes {}{refused}", routes.len()));
        let keys = routes.iter().flat_map(ingress::services).cloned().collect();
        self.wanted.send_replace(Arc::new(keys));
        self.refuses.lock().unwrap().clone()
    }

    fn service(&self, key: &ServiceKey, service: Option<Service>) {
        let states = service.map(|service| {
            let states = service.endpoints.iter().map(|it| format!("{} {:?}", it.id, it.state));
            states.collect::<Vec<_>>().join(", ")
        });
        self.say(format!("service {} {states:?}", key.name));
    }

    fn wanted(&self) -> Receiver<Arc<BTreeSet<ServiceKey>>> {
        self.wanted.subscribe()
    }
}

impl Recorder {
    fn say(&self, line: String) {
        self.said.lock().unwrap().push(line);
    }
}

struct Bench {
    core: Core,
    told: Arc<Recorder>,
    status: Arc<Status>,
    notices: Arc<Outbox<Notice>>,
    unpublished: Arc<Outbox<Name>>,
}

fn settings() -> Settings {
    Settings {
        node: "n1".into(),
        ingress_class: Some("podmeter".into()),
        publish: Vec::new(),
        rules: Rules::new(&crate::pods::labels::Settings::default()).unwrap(),
        authorities: None,
        pace: super::super::Pace::default(),
        spread: std::time::Duration::ZERO,
    }
}

impl Bench {
    fn new(settings: &Settings) -> Self {
        let health = Arc::new(Health::default());
        let status = Arc::new(Status::new(health.clone()));
        let told = Arc::new(Recorder {
            said: Mutex::default(),
            wanted: Sender::default(),
            refuses: Mutex::default(),
            refuses_pem: Mutex::default(),
        });
        let (notices, unpublished) = (Arc::<Outbox<_>>::default(), Arc::<Outbox<_>>::default());
        let links = Links {
            told: told.clone(),
            health,
            status: status.clone(),
            notices: notices.clone(),
            unpublished: unpublished.clone(),
            subjects: Arc::default(),
        };
        let mut core = Core::new(settings, links);
        core.slices_are_served(true);
        Self { core, told, status, notices, unpublished }
    }

    /// One Ingress of ours to the Service `web`, and the class known.
    fn routed() -> Self {
        let mut bench = Self::new(&settings());
        bench.core.classes(vec![Change::All(vec![])]);
        bench.core.ingresses(vec![Change::All(vec![object(ingress_of("web", &json!({})))])]);
        bench.said();
        bench
    }

    /// What was told since the last look.
    fn said(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.said.lock().unwrap())
    }

    fn reasons(&self) -> Vec<(String, &'static str)> {
        let faults = self.status.faults();
        faults.iter().map(|fault| (fault.origin.name.to_string(), fault.reason)).collect()
    }
}

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn name(name: &str) -> Name {
    Name { namespace: "shop".into(), name: name.into() }
}

/// An Ingress `name` of our class to the Service of the same name, less what `over` says of its spec.
fn ingress_of(name: &str, over: &Value) -> Value {
    let mut spec = json!({
        "ingressClassName": "podmeter",
        "rules": [{"host": format!("{name}.example"), "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 80}}}},
        ]}}],
    });
    for (key, value) in over.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}")}, "spec": spec})
}

fn service(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"app": name}}})
}

fn slice(uids: &[&str]) -> Value {
    let endpoints: Vec<_> = uids
        .iter()
        .enumerate()
        .map(|(at, uid)| json!({"addresses": [format!("10.0.0.{at}")], "targetRef": {"kind": "Pod", "name": uid, "uid": uid}}))
        .collect();
    json!({"metadata": {"name": "web-1"}, "ports": [{"port": 8080}], "endpoints": endpoints})
}

fn secret(kind: &str, data: &[(&str, &str)]) -> Value {
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let data: serde_json::Map<_, _> =
        data.iter().map(|(key, text)| ((*key).to_owned(), encode(text).into())).collect();
    json!({"metadata": {"name": "cert"}, "type": kind, "data": data})
}

const CHAIN: &str = "-----BEGIN CERTIFICATE-----";
const KEY: &str = "-----BEGIN PRIVATE KEY-----";

fn good_secret() -> Value {
    secret("kubernetes.io/tls", &[("tls.crt", CHAIN), ("tls.key", KEY)])
}

#[test]
fn service_is_followed_once_it_is_wanted_and_its_pods_once_the_selector_is_known() {
    let mut bench = Bench::routed();
    let web = name("web");
    let common = [
        Subject::Classes,
        Subject::Ingresses,
        Subject::Service(web.clone()),
        Subject::Slices(web.clone()),
    ];
    assert_eq!(bench.core.subjects(), common.clone().into());
    bench.core.service(&web, vec![Change::All(vec![object(service("web"))])]);
    let pods = Subject::Pods(web.clone(), "app=web".into());
    assert_eq!(bench.core.subjects(), common.into_iter().chain([pods]).collect());
    assert_eq!(bench.said(), Vec::<String>::new(), "its pods are not known yet");

    bench.core.slices(&web, vec![Change::All(vec![object(slice(&["u1", "u2"]))])]);
    assert_eq!(bench.said(), [r#"service web Some("u1 Ready, u2 Ready")"#]);
    assert!(bench.status.is_ready());
    bench.core.slices(&web, vec![Change::Applied(object(slice(&["u1", "u2"])))]);
    assert_eq!(bench.said(), Vec::<String>::new(), "nothing changed");
    bench.core.slices(&web, vec![Change::Applied(object(slice(&["u1"])))]);
    assert_eq!(bench.said(), [r#"service web Some("u1 Ready")"#], "at once");
}

#[test]
fn service_that_is_not_wanted_any_more_is_dropped() {
    let mut bench = Bench::routed();
    let web = name("web");
    bench.core.service(&web, vec![Change::All(vec![object(service("web"))])]);
    bench.core.ingresses(vec![Change::All(vec![])]);
    assert_eq!(bench.core.subjects(), [Subject::Classes, Subject::Ingresses].into());
    assert_eq!(bench.said(), ["routes 0"]);
    bench.core.slices(&web, vec![Change::All(vec![object(slice(&["u1"]))])]);
    assert_eq!(bench.said(), Vec::<String>::new(), "what comes late is nobody's");
}

#[test]
fn two_ports_of_a_service_share_its_feeds_and_are_told_apart() {
    let mut bench = Bench::new(&Settings { ingress_class: None, ..settings() });
    let key = |port| name("web").with(port);
    let keys = [key(Port::Number(80)), key(Port::Number(81))];
    bench.told.wanted.send_replace(Arc::new(keys.into()));
    bench.core.wanted();
    assert_eq!(bench.core.subjects().len(), 2);
    bench.core.service(&name("web"), vec![Change::All(vec![object(service("web"))])]);
    assert_eq!(bench.said(), ["service web None"], "81 is no port of it");
    assert_eq!(bench.reasons(), [("web".to_owned(), "port_missing")]);
    bench.core.slices(&name("web"), vec![Change::All(vec![])]);
    assert_eq!(bench.said(), [r#"service web Some("")"#]);
    assert!(bench.status.is_ready());
}

#[test]
fn what_is_wanted_anew_is_told_again() {
    let mut bench = Bench::routed();
    let web = name("web");
    bench.core.service(&web, vec![Change::All(vec![object(service("web"))])]);
    bench.core.slices(&web, vec![Change::All(vec![object(slice(&["u1"]))])]);
    let told = r#"service web Some("u1 Ready")"#;
    assert_eq!(bench.said(), [told]);
    // The proxy dropped it and wants it once more before anybody looked.
    let wanted = bench.told.wanted.borrow().clone();
    bench.told.wanted.send_replace(wanted);
    bench.core.wanted();
    assert_eq!(bench.said(), [told]);
    bench.core.wanted();
    assert_eq!(bench.said(), Vec::<String>::new());
}

#[test]
fn places_for_services_go_to_the_file_and_then_to_the_oldest_ingress() {
    let mut bench = Bench::new(&settings());
    let aged = |name: &str, year: u32| {
        let mut ingress = ingress_of(name, &json!({}));
        ingress["metadata"]["creationTimestamp"] = format!("{year}-01-01T00:00:00Z").into();
        object::<IngressObject>(ingress)
    };
    // The newest has the first name.
    let all: Vec<_> = (0..256).map(|at| aged(&format!("s{at:03}"), 2_900 - at)).collect();
    bench.core.ingresses(vec![Change::All(all)]);
    bench.core.service(&name("s000"), vec![Change::All(vec![])]);
    bench.said();
    bench.core.ingresses(vec![Change::Applied(aged("a", 2_999))]);
    assert_eq!(
        bench.reasons(),
        [("a".to_owned(), "too_many"), ("s000".to_owned(), "service_missing")]
    );
    let mut wanted = BTreeSet::clone(&bench.told.wanted.borrow());
    wanted.insert(name("z-of-the-file").with(Port::Number(80)));
    bench.told.wanted.send_replace(Arc::new(wanted));
    bench.said();
    bench.core.wanted();
    assert!(bench.core.subjects().contains(&Subject::Service(name("z-of-the-file"))));
    assert_eq!(bench.said(), ["service s000 None"], "what lost its place has no pods");
    assert_eq!(bench.reasons(), [("a".to_owned(), "too_many"), ("s000".to_owned(), "too_many")]);
}

#[test]
fn services_beyond_the_bound_are_faults() {
    let mut bench = Bench::new(&Settings { ingress_class: None, ..settings() });
    let keys = |numbers: std::ops::Range<u32>| -> Arc<BTreeSet<ServiceKey>> {
        Arc::new(numbers.map(|n| name(&format!("s{n:03}")).with(Port::Number(80))).collect())
    };
    bench.told.wanted.send_replace(keys(0..300));
    bench.core.wanted();
    assert_eq!(bench.core.subjects().len(), 2 * 256);
    assert_eq!(bench.reasons().len(), 300 - 256);
}

#[test]
fn old_server_is_asked_for_endpoints() {
    let mut bench = Bench::routed();
    bench.core.slices_are_served(false);
    assert!(bench.core.subjects().contains(&Subject::Endpoints(name("web"))));
    assert!(!bench.core.subjects().contains(&Subject::Slices(name("web"))));
}

#[test]
fn ingresses_wait_for_the_class_but_not_for_ever() {
    let mut bench = Bench::new(&settings());
    assert_eq!(bench.core.subjects(), [Subject::Classes].into());
    bench.core.class_is_late();
    assert_eq!(bench.core.subjects(), [Subject::Classes, Subject::Ingresses].into());
}

#[test]
fn classes_decide_which_ingresses_are_ours() {
    let class = |controller: &str, default: &str| {
        object::<ClassObject>(json!({
            "metadata": {"name": "podmeter", "annotations": {"ingressclass.kubernetes.io/is-default-class": default}},
            "spec": {"controller": controller},
        }))
    };
    let unnamed = ingress_of("unnamed", &json!({"ingressClassName": null}));
    let mut legacy = ingress_of("legacy", &json!({"ingressClassName": null}));
    legacy["metadata"]["annotations"] = json!({"kubernetes.io/ingress.class": "podmeter"});
    let other = ingress_of("other", &json!({"ingressClassName": "nginx"}));
    let mut bench = Bench::new(&settings());
    let all = [ingress_of("web", &json!({})), unnamed, legacy, other];
    bench.core.ingresses(vec![Change::All(all.into_iter().map(object).collect())]);
    assert_eq!(bench.said(), ["routes 2"], "without an object of the class, by its name");

    bench.core.classes(vec![Change::Applied(class("podmeter.io/proxy", "true"))]);
    assert_eq!(bench.said(), ["routes 3"], "it is the default class");
    bench.core.classes(vec![Change::Applied(class("nginx", "true"))]);
    assert_eq!(bench.said(), ["routes 0"]);
    assert_eq!(bench.reasons(), [("podmeter".to_owned(), "foreign_class")]);
    bench.core.classes(vec![Change::Deleted(class("nginx", "true"))]);
    assert_eq!(bench.said(), ["routes 2"]);
    assert_eq!(bench.reasons(), []);
}

#[test]
fn last_good_routes_stay_while_the_new_version_is_of_no_use() {
    let mut bench = Bench::routed();
    let broken = ingress_of("web", &json!({"rules": [{"host": "web:80"}]}));
    bench.core.ingresses(vec![Change::Applied(object(broken.clone()))]);
    assert_eq!(bench.said(), Vec::<String>::new());
    assert_eq!(bench.reasons(), [("web".to_owned(), "bad_host")]);
    bench.core.ingresses(vec![Change::All(vec![object(broken.clone())])]);
    assert_eq!(bench.said(), Vec::<String>::new(), "over a list, too");

    let mut guarded = ingress_of("web", &json!({}));
    guarded["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/auth-url": "x"});
    bench.core.ingresses(vec![Change::Applied(object(guarded))]);
    assert_eq!(bench.said(), ["routes 1 (1 refused)"], "but not where it is to be protected");

    bench.core.ingresses(vec![Change::Applied(object(ingress_of("web", &json!({}))))]);
    let mut another = broken;
    another["metadata"]["uid"] = "another".into();
    bench.said();
    bench.core.ingresses(vec![Change::Applied(object(another))]);
    assert_eq!(bench.said(), ["routes 0"], "it is another object of that name");
}

#[test]
fn fault_becomes_one_event_on_the_ingress() {
    let mut bench = Bench::routed();
    let broken =
        object::<IngressObject>(ingress_of("web", &json!({"rules": [{"host": "web:80"}]})));
    bench.core.ingresses(vec![Change::Applied(broken.clone())]);
    bench.core.ingresses(vec![Change::Applied(broken)]);
    let notice = bench.notices.pop().unwrap();
    assert_eq!((notice.about, &*notice.uid), (About::Route, "uid-web"));
    assert_eq!(notice.fault.reason, "bad_host");
    assert_eq!(bench.notices.pop(), None);
}

#[test]
fn what_the_table_refuses_is_a_fault_until_it_is_mended() {
    let mut bench = Bench::routed();
    let origin = Origin { source: Source::Ingress, namespace: "shop".into(), name: "web".into() };
    *bench.told.refuses.lock().unwrap() =
        vec![Fault { origin, reason: "bad_regex", sentence: "it has no end".to_owned() }];
    let changed = ingress_of(
        "web",
        &json!({"rules": [{"host": "x", "http": {"paths": [
            {"path": "/", "pathType": "Exact", "backend": {"service": {"name": "web", "port": {"number": 80}}}},
        ]}}]}),
    );
    bench.core.ingresses(vec![Change::Applied(object(changed))]);
    assert_eq!(bench.reasons(), [("web".to_owned(), "bad_regex")]);
    bench.told.refuses.lock().unwrap().clear();
    bench.core.ingresses(vec![Change::Applied(object(ingress_of("web", &json!({}))))]);
    assert_eq!(bench.reasons(), []);
}

#[test]
fn what_the_file_shadows_is_a_fault_as_long_as_it_does() {
    let mut bench = Bench::routed();
    let origin = Origin { source: Source::Ingress, namespace: "shop".into(), name: "web".into() };
    let fault = Fault { origin, reason: "duplicate", sentence: "the file has it".to_owned() };
    bench.core.refused(&[fault]);
    assert_eq!(bench.reasons(), [("web".to_owned(), "duplicate")]);
    bench.core.refused(&[]);
    assert_eq!(bench.reasons(), []);
}

#[test]
fn certificate_stays_in_force_when_its_secret_breaks_or_goes() {
    let mut bench = Bench::routed();
    let tls = json!({"tls": [{"hosts": ["web.example"], "secretName": "cert"}]});
    bench.core.ingresses(vec![Change::Applied(object(ingress_of("web", &tls)))]);
    let cert = name("cert");
    assert!(bench.core.subjects().contains(&Subject::Secret(cert.clone())));
    bench.said();
    bench.core.secret(&cert, vec![Change::All(vec![])]);
    assert_eq!(bench.said(), Vec::<String>::new());
    assert_eq!(bench.reasons(), [("web".to_owned(), "certificate_missing")]);

    bench.core.secret(&cert, vec![Change::Applied(object(good_secret()))]);
    assert_eq!(bench.said(), [r#"certificates cert["web.example"]"#]);
    assert_eq!(bench.reasons(), []);

    let no_key = secret("kubernetes.io/tls", &[("tls.crt", CHAIN)]);
    let no_pem = secret("kubernetes.io/tls", &[("tls.crt", "s3cret"), ("tls.key", "s3cret")]);
    let no_tls = secret("Opaque", &[("tls.crt", CHAIN), ("tls.key", KEY)]);
    let mut no_base64 = good_secret();
    no_base64["data"]["tls.key"] = "s3cret!".into();
    for broken in [no_key, no_pem, no_tls, no_base64] {
        bench.core.secret(&cert, vec![Change::Applied(object(broken.clone()))]);
        assert_eq!(bench.reasons(), [("web".to_owned(), "certificate_malformed")], "{broken}");
        assert!(!bench.status.faults()[0].sentence.contains("s3cret"));
    }
    bench.core.secret(&cert, vec![Change::Deleted(object(good_secret()))]);
    assert_eq!(bench.reasons(), [("web".to_owned(), "certificate_missing")]);
    assert_eq!(bench.said(), Vec::<String>::new(), "the last good one stays");

    bench.core.ingresses(vec![Change::Applied(object(ingress_of("web", &json!({}))))]);
    assert_eq!(bench.said(), ["certificates"], "nobody names it any more");
    assert!(!bench.core.subjects().contains(&Subject::Secret(cert)));
}

#[test]
fn what_a_secret_was_refused_for_is_no_fault_once_it_holds_something_else() {
    let authorities = Some(("shop".into(), "ca".into()));
    let mut bench = Bench::new(&Settings { authorities, ..settings() });
    bench.core.classes(vec![Change::All(vec![])]);
    let tls = json!({"tls": [{"hosts": ["web.example"], "secretName": "cert"}]});
    bench.core.ingresses(vec![Change::All(vec![object(ingress_of("web", &tls))])]);
    bench.core.service(&name("web"), vec![Change::All(vec![object(service("web"))])]);
    let refuse = |secret: &str| {
        let origin =
            Origin { source: Source::Ingress, namespace: "shop".into(), name: secret.into() };
        let fault = Fault { origin, reason: "refused", sentence: "it does not fit".to_owned() };
        *bench.told.refuses_pem.lock().unwrap() = vec![fault];
    };
    let (cert, mut ca) = (name("cert"), secret("Opaque", &[("ca.crt", CHAIN)]));
    ca["metadata"]["name"] = "ca".into();
    refuse("cert");
    bench.core.secret(&cert, vec![Change::All(vec![object(good_secret())])]);
    refuse("ca");
    bench.core.authorities(vec![Change::All(vec![object(ca.clone())])]);
    let both = [("ca".to_owned(), "refused"), ("web".to_owned(), "refused")];
    let sorted = |mut reasons: Vec<_>| {
        reasons.sort();
        reasons
    };
    assert_eq!(sorted(bench.reasons()), both);

    bench.core.secret(&cert, vec![Change::Deleted(object(good_secret()))]);
    bench.core.authorities(vec![Change::Deleted(object(ca))]);
    let both =
        [("ca".to_owned(), "authorities_missing"), ("web".to_owned(), "certificate_missing")];
    assert_eq!(sorted(bench.reasons()), both);
}

#[test]
fn authorities_are_told_when_they_change_and_the_last_good_ones_stay() {
    let authorities = Some(("shop".into(), "cert".into()));
    let mut bench = Bench::new(&Settings { ingress_class: None, authorities, ..settings() });
    assert_eq!(bench.core.subjects(), [Subject::Authorities(name("cert"))].into());
    bench.core.authorities(vec![Change::All(vec![])]);
    assert_eq!(bench.reasons(), [("cert".to_owned(), "authorities_missing")]);

    let ca = secret("Opaque", &[("ca.crt", CHAIN)]);
    bench.core.authorities(vec![Change::Applied(object(ca.clone()))]);
    bench.core.authorities(vec![Change::Applied(object(ca))]);
    assert_eq!(bench.said(), ["authorities, crl false"]);
    let bad = secret("Opaque", &[("ca.crt", CHAIN), ("ca.crl", "?")]);
    bench.core.authorities(vec![Change::Applied(object(bad))]);
    assert_eq!(bench.reasons(), [("cert".to_owned(), "authorities_malformed")]);
    let crl = secret("Opaque", &[("ca.crt", CHAIN), ("ca.crl", "-----BEGIN X509 CRL-----")]);
    bench.core.authorities(vec![Change::Applied(object(crl))]);
    assert_eq!(bench.said(), ["authorities, crl true"]);
    assert_eq!(bench.reasons(), []);
}

#[test]
fn status_is_to_be_written_only_while_it_differs() {
    let publish = vec!["192.0.2.1".into(), "lb.example".into()];
    let mut bench = Bench::new(&Settings { publish, ..settings() });
    bench.core.ingresses(vec![Change::All(vec![object(ingress_of("web", &json!({})))])]);
    assert_eq!(bench.unpublished.pop(), Some(name("web")));
    assert!(bench.core.lacks_status(&name("web")));

    let mut written = ingress_of("web", &json!({}));
    written["status"] =
        json!({"loadBalancer": {"ingress": [{"hostname": "lb.example"}, {"ip": "192.0.2.1"}]}});
    bench.core.ingresses(vec![Change::Applied(object(written))]);
    assert!(!bench.core.lacks_status(&name("web")));
    assert_eq!(bench.unpublished.pop(), None);
    assert!(!bench.core.lacks_status(&name("gone")));
}

#[test]
fn proxy_is_ready_when_all_that_is_wanted_was_told() {
    let mut bench = Bench::routed();
    assert!(!bench.status.is_ready());
    bench.core.service(&name("web"), vec![Change::All(vec![])]);
    assert_eq!(bench.said(), ["service web None"]);
    assert_eq!(bench.reasons(), [("web".to_owned(), "service_missing")]);
    assert!(bench.status.is_ready(), "a Service that is not there is known not to be");
    assert!(Bench::new(&Settings { ingress_class: None, ..settings() }).status.is_ready());
}
