//! What the proxy is told of a Service, from the objects as the API server sends them.

use serde_json::{Value, json};

use super::*;
use crate::api::feed::Change;
use crate::pods::labels::{Rules, Settings};
use crate::proxy::discovery::name::Name;

/// A Service and what was told of its port 80 last.
struct Watched {
    known: Known,
    last: Option<Service>,
}

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

impl Watched {
    fn new(ports: &Value) -> Self {
        let mut known = Known::new(Name { namespace: "shop".into(), name: "web".into() });
        let service = json!({"metadata": {"name": "web"}, "spec": {"ports": ports, "selector": {"app": "web", "a": "b"}}});
        known.services(vec![Change::All(vec![object(service)])]);
        Self { known, last: None }
    }

    /// The usual one: one port without a name.
    fn plain() -> Self {
        Self::new(&json!([{"port": 80, "targetPort": 8080}]))
    }

    fn slices(&mut self, slices: Vec<Value>) -> &mut Self {
        self.known.slices(vec![Change::All(slices.into_iter().map(object).collect())]);
        self
    }

    fn endpoints(&mut self, addresses: &Value) -> &mut Self {
        let value = json!({
            "metadata": {"name": "web"},
            "subsets": [{"addresses": addresses, "ports": [{"port": 8080}]}],
        });
        self.known.endpoints(vec![Change::Applied(object(value))]);
        self
    }

    fn pods(
        &mut self,
        changes: Vec<Change<crate::proxy::discovery::object::PodObject>>,
    ) -> &mut Self {
        let rules = Rules::new(&Settings::default()).unwrap();
        self.known.pods(changes, &rules, |reason| panic!("{reason:?}"));
        self
    }

    /// `id address state node pod` of each endpoint told now.
    fn told(&mut self) -> Vec<String> {
        let service = self.known.service(&Port::Number(80), self.last.as_ref()).unwrap().unwrap();
        let line = |endpoint: &Endpoint| {
            format!(
                "{} {} {:?} {} {}",
                endpoint.id,
                endpoint.address,
                endpoint.state,
                endpoint.node.as_deref().unwrap_or("-"),
                endpoint.labels.value("pod").unwrap_or("-"),
            )
        };
        let lines = service.endpoints.iter().map(line).collect();
        self.last = Some(service);
        lines
    }
}

fn slice(name: &str, endpoints: &Value) -> Value {
    json!({
        "metadata": {"name": name}, "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints,
    })
}

fn endpoint(ip: &str, uid: &str, conditions: &Value) -> Value {
    json!({
        "addresses": [ip], "conditions": conditions, "nodeName": "n1", "zone": "z1",
        "targetRef": {"kind": "Pod", "namespace": "shop", "name": format!("web-{uid}"), "uid": uid},
    })
}

fn pod(uid: &str, is_ready: bool, is_ending: bool) -> crate::proxy::discovery::object::PodObject {
    let mut pod = json!({
        "metadata": {
            "name": format!("web-{uid}"), "namespace": "shop", "uid": uid, "labels": {"app": "web"},
            "ownerReferences": [{"kind": "StatefulSet", "name": "web", "controller": true}],
        },
        "spec": {"nodeName": "n2"},
        "status": {"conditions": [{"type": "Ready", "status": if is_ready { "True" } else { "False" }}]},
    });
    if is_ending {
        pod["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:10Z".into();
    }
    object(pod)
}

#[test]
fn conditions_decide_who_gets_requests() {
    for (conditions, expected) in [
        (json!({}), Some("Ready")),
        (json!({"ready": true}), Some("Ready")),
        (json!({"ready": false}), None),
        (json!({"ready": null}), Some("Ready")),
        (json!({"ready": false, "serving": true, "terminating": true}), Some("Terminating")),
        (json!({"ready": false, "serving": false, "terminating": true}), None),
        (json!({"ready": true, "serving": true, "terminating": true}), Some("Terminating")),
        (json!({"ready": true, "serving": true, "terminating": false}), Some("Ready")),
        (json!({"ready": false, "terminating": true}), None),
    ] {
        let mut web = Watched::plain();
        web.slices(vec![slice("a", &json!([endpoint("10.0.0.1", "u1", &conditions)]))]);
        let expected: Vec<_> = expected
            .map(|state| format!("u1 10.0.0.1:8080 {state} n1 web-u1"))
            .into_iter()
            .collect();
        assert_eq!(web.told(), expected, "{conditions}");
    }
}

#[test]
fn endpoint_in_several_slices_is_one_and_the_ready_one() {
    let mut web = Watched::plain();
    let ending = json!({"ready": false, "serving": true, "terminating": true});
    let mut v6 = slice("c", &json!([endpoint("fd00::1", "u1", &json!({}))]));
    v6["addressType"] = "IPv6".into();
    web.slices(vec![
        slice(
            "a",
            &json!([endpoint("10.0.0.1", "u1", &ending), endpoint("10.0.0.2", "u2", &json!({}))]),
        ),
        slice("b", &json!([endpoint("10.0.0.1", "u1", &json!({}))])),
        v6,
    ]);
    assert_eq!(
        web.told(),
        ["u1 10.0.0.1:8080 Ready n1 web-u1", "u2 10.0.0.2:8080 Ready n1 web-u2"]
    );
}

#[test]
fn port_is_found_by_number_or_name_and_resolved_by_the_slices_name() {
    let mut web = Watched::new(&json!([
        {"name": "metrics", "port": 9090, "targetPort": "metrics"},
        {"name": "http", "port": 80, "targetPort": "web", "appProtocol": "kubernetes.io/h2c"},
        {"name": "dns", "port": 53, "protocol": "UDP"},
    ]));
    let mut both = slice("a", &json!([endpoint("10.0.0.1", "u1", &json!({}))]));
    both["ports"] = json!([{"name": "metrics", "port": 1}, {"name": "http", "port": 3000}]);
    web.slices(vec![both]);
    assert_eq!(web.told(), ["u1 10.0.0.1:3000 Ready n1 web-u1"]);
    assert_eq!(web.last.as_ref().unwrap().protocol, Protocol::H2c);

    let by_name = web.known.service(&Port::Name("metrics".into()), None).unwrap().unwrap();
    assert_eq!(by_name.endpoints[0].address.port(), 1);
    for missing in [Port::Number(81), Port::Name("web".into()), Port::Number(53)] {
        let (reason, _) = web.known.service(&missing, None).unwrap().unwrap_err();
        assert_eq!(reason, Reason::PortMissing, "{missing:?}");
    }
}

#[test]
fn app_protocol_says_what_is_spoken() {
    for (app, protocol, tls) in [
        (json!("kubernetes.io/h2c"), Protocol::H2c, false),
        (json!("grpc"), Protocol::H2c, false),
        (json!("kubernetes.io/grpc"), Protocol::H2c, false),
        (json!("https"), Protocol::Http1, true),
        (json!("kubernetes.io/https"), Protocol::Http1, true),
        (json!("http"), Protocol::Http1, false),
        (json!(null), Protocol::Http1, false),
    ] {
        let mut web = Watched::new(&json!([{"port": 80, "appProtocol": app}]));
        web.slices(vec![]).told();
        let told = web.last.unwrap();
        assert_eq!((told.protocol, told.tls), (protocol, tls), "{app}");
    }
}

#[test]
fn absent_and_external_services_are_told_as_such() {
    let mut known = Known::new(Name { namespace: "shop".into(), name: "web".into() });
    assert!(known.service(&Port::Number(80), None).is_none(), "nobody has said anything yet");
    known.services(vec![Change::All(vec![])]);
    let (reason, _) = known.service(&Port::Number(80), None).unwrap().unwrap_err();
    assert_eq!(reason, Reason::ServiceMissing);
    let external =
        json!({"metadata": {"name": "web"}, "spec": {"type": "ExternalName", "externalName": "x"}});
    known.services(vec![Change::Applied(object(external))]);
    let (reason, _) = known.service(&Port::Number(80), None).unwrap().unwrap_err();
    assert_eq!(reason, Reason::ExternalName);
}

#[test]
fn labels_are_the_pods_own_once_it_is_known_and_stay_the_same_allocation() {
    let mut web = Watched::plain();
    web.slices(vec![slice("a", &json!([endpoint("10.0.0.1", "u1", &json!({}))]))]);
    web.told();
    let labels = |web: &Watched| web.last.as_ref().unwrap().endpoints[0].labels.clone();
    let first = labels(&web);
    assert_eq!((first.value("node"), first.value("workload")), (Some("n1"), Some("")));
    web.told();
    assert!(Arc::ptr_eq(&first, &labels(&web)));

    web.pods(vec![Change::All(vec![pod("u1", true, false)])]);
    assert_eq!(web.told(), ["u1 10.0.0.1:8080 Ready n2 web-u1"]);
    let names: Vec<_> = labels(&web).labels().iter().map(|label| label.name.to_string()).collect();
    assert_eq!(names, ["namespace", "pod", "node", "workload", "workload_kind", "label_app"]);
    assert_eq!(labels(&web).value("workload_kind"), Some("StatefulSet"));

    let known = labels(&web);
    web.pods(vec![Change::Applied(pod("u1", true, false))]).told();
    assert!(Arc::ptr_eq(&known, &labels(&web)));
}

#[test]
fn address_without_a_pod_has_labels_of_its_own() {
    let mut web = Watched::plain();
    web.slices(vec![slice(
        "mine",
        &json!([{"addresses": ["192.0.2.1"]}, {"addresses": ["192.0.2.2"]}, {"addresses": ["x"]}, {}]),
    )]);
    assert_eq!(
        web.told(),
        [
            "192.0.2.1:8080 192.0.2.1:8080 Ready - 192.0.2.1:8080",
            "192.0.2.2:8080 192.0.2.2:8080 Ready - 192.0.2.2:8080",
        ]
    );
}

#[test]
fn pod_about_to_end_is_told_so_by_whichever_feed_is_first() {
    let mut web = Watched::plain();
    web.slices(vec![slice("a", &json!([endpoint("10.0.0.1", "u1", &json!({}))]))]);
    web.pods(vec![Change::All(vec![pod("u1", true, true)])]);
    assert_eq!(web.told(), ["u1 10.0.0.1:8080 Terminating n2 web-u1"]);
    web.pods(vec![Change::Applied(pod("u1", false, true))]);
    assert_eq!(web.told(), Vec::<String>::new());
}

#[test]
fn deleted_pod_is_out_although_a_slice_still_names_it() {
    let mut web = Watched::plain();
    web.slices(vec![slice("a", &json!([endpoint("10.0.0.1", "u1", &json!({}))]))]);
    web.pods(vec![Change::All(vec![pod("u1", true, false)])]);
    assert_eq!(web.told().len(), 1);
    web.pods(vec![Change::Deleted(pod("u1", true, false))]);
    assert_eq!(web.told(), Vec::<String>::new());
    web.pods(vec![Change::Applied(pod("u1", true, false))]);
    assert_eq!(web.told().len(), 1, "its label was put back");
    web.pods(vec![Change::All(vec![])]);
    assert_eq!(web.told(), Vec::<String>::new(), "a list without it says the same");
}

#[test]
fn endpoints_of_an_old_server_keep_a_pod_that_ends_until_it_is_not_ready() {
    let address = |uid: &str| json!({"ip": "10.0.0.1", "nodeName": "n1", "targetRef": {"kind": "Pod", "name": format!("web-{uid}"), "uid": uid}});
    let mut web = Watched::plain();
    web.endpoints(&json!([address("u1")]));
    web.pods(vec![Change::All(vec![pod("u1", true, false), pod("u2", true, true)])]);
    assert_eq!(web.told(), ["u1 10.0.0.1:8080 Ready n2 web-u1"], "u2 never was an endpoint");

    web.endpoints(&json!([])).pods(vec![Change::Applied(pod("u1", true, true))]);
    assert_eq!(web.told(), ["u1 10.0.0.1:8080 Terminating n2 web-u1"]);
    assert_eq!(web.told().len(), 1, "and it stays");
    web.pods(vec![Change::Applied(pod("u1", false, true))]);
    assert_eq!(web.told(), Vec::<String>::new());
}

#[test]
fn endpoints_that_drop_a_pod_before_its_deletion_is_known_drop_it() {
    let address =
        json!([{"ip": "10.0.0.1", "targetRef": {"kind": "Pod", "name": "web-u1", "uid": "u1"}}]);
    let mut web = Watched::plain();
    web.endpoints(&address).pods(vec![Change::All(vec![pod("u1", true, false)])]);
    web.told();
    web.endpoints(&json!([]));
    assert_eq!(web.told(), Vec::<String>::new(), "it may have failed its probe");
}

#[test]
fn server_that_tells_endings_apart_has_the_last_word() {
    let not_serving = json!({"ready": false, "serving": false, "terminating": true});
    let mut web = Watched::plain();
    web.slices(vec![slice("a", &json!([endpoint("10.0.0.1", "u1", &json!({"serving": true}))]))]);
    web.pods(vec![Change::All(vec![pod("u1", true, true)])]);
    assert_eq!(web.told().len(), 1);
    web.slices(vec![slice("a", &json!([endpoint("10.0.0.1", "u1", &not_serving)]))]);
    assert_eq!(web.told(), Vec::<String>::new());
}

#[test]
fn selector_is_in_one_order_and_one_that_could_be_widened_is_none() {
    assert_eq!(Watched::plain().known.selector().map(|text| &**text), Some("a=b,app=web"));
    let mut known = Known::new(Name { namespace: "shop".into(), name: "web".into() });
    let odd = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web,x"}}});
    known.services(vec![Change::Applied(object(odd))]);
    assert!(known.selector().is_none());
}
