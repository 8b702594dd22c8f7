//! Which Ingresses are the proxy's, and what is written into their status.

use serde_json::{Value, json};

use super::{agent, common, ingress_of, rule, until_faults, until_status};
use crate::cluster::suite::{START, Suite};
use crate::cluster::wait;

const DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";

pub(crate) fn proxy_serves_the_ingresses_of_its_class_alone(suite: &Suite) {
    let _steady = suite.steady();
    let common = common(suite);
    let class = format!("{}-other", suite.namespace.name);
    let put = |name: &str, annotations: &Value, class: Option<&str>| {
        let host = format!("{name}.other.test");
        let mut spec = json!({"rules": [rule(&host, common)]});
        if let Some(class) = class {
            spec["ingressClassName"] = json!(class);
        }
        suite.apply(&ingress_of(name, annotations, &spec));
    };
    put("named", &json!({}), Some(&class));
    put("legacy", &json!({"kubernetes.io/ingress.class": class}), None);
    put("unnamed", &json!({}), None);
    put("foreign", &json!({}), Some(&suite.namespace.name));
    let proxy = json!({"ingress_class": class, "publish_address": ["192.0.2.11"]});
    let agent = agent(suite, "other", &proxy);
    let target = |name: &str| agent.http(&format!("{name}.other.test"));
    let expect = |served: &[&str], others: &[&str]| {
        for name in served {
            until_status(&target(name), "/", 200);
        }
        for name in others {
            until_status(&target(name), "/", 404);
        }
    };
    // There is no object of the class yet.
    expect(&["named", "legacy"], &["unnamed", "foreign"]);
    until_status(&suite.agent.http("foreign.other.test"), "/", 200);
    let ours = json!([{"ip": "192.0.2.11"}]);
    published(suite, "named", &ours);
    published(suite, "legacy", &ours);
    published(suite, "foreign", &json!([{"ip": "192.0.2.10"}, {"hostname": "proxy.example"}]));
    assert_eq!(status(suite, "unnamed"), json!(null));

    suite.apply(&object(&class, "podmeter.io/proxy", true));
    expect(&["named", "legacy", "unnamed"], &["foreign"]);
    published(suite, "unnamed", &ours);

    // A controller cannot be changed, only the whole class.
    let remove = || suite.kubectl(&["delete", "ingressclass", &class]);
    remove();
    suite.apply(&object(&class, "example.com/another", true));
    expect(&[], &["named", "legacy", "unnamed", "foreign"]);
    until_faults(&agent, &class, &["foreign_class"]);
    remove();
    expect(&["named", "legacy"], &["unnamed", "foreign"]);
    until_faults(&agent, &class, &[]);

    let service = json!({"name": common, "port": {"number": 80}});
    let spec = json!({"ingressClassName": class, "defaultBackend": {"service": service}});
    suite.apply(&ingress_of("fallback", &json!({}), &spec));
    expect(&["anyone", "foreign", "named"], &[]);
    suite.kubectl(&["delete", "ingress", "fallback", "named"]);
    expect(&["legacy"], &["anyone", "named"]);
    assert!(agent.terminate().success());
}

fn object(name: &str, controller: &str, is_default: bool) -> String {
    let annotations = json!({DEFAULT: is_default.to_string()});
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": name, "annotations": annotations}, "spec": {"controller": controller},
    })
    .to_string()
}

fn status(suite: &Suite, name: &str) -> Value {
    let ingress = suite.tool().object(&["-n", &suite.namespace.name, "ingress", name]);
    ingress.expect("it is there")["status"]["loadBalancer"]["ingress"].clone()
}

fn published(suite: &Suite, name: &str, addresses: &Value) {
    // Nodes spread what all of them would write.
    wait::until(&format!("the status of {name}"), 3 * START, || {
        (status(suite, name) == *addresses).then_some(())
    });
}
