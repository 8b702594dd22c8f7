//! The rights that the proxy needs, and what it does without the optional ones.

use serde_json::json;

use super::{agent_of, common, ingress_of, path, rule, secret, until_faults, until_status};
use crate::cluster::account;
use crate::cluster::agent::program;
use crate::cluster::authority::Authority;
use crate::cluster::suite::{START, Suite};
use crate::cluster::wait;

const NO_EVENTS: &str = "no Events on Ingresses";
const NO_STATUS: &str = "no addresses in the status of Ingresses";

/// The suite's own agent has exactly these, so that every other case shows that they are enough.
pub(crate) fn proxys_documented_rights_pass_the_check(suite: &Suite) {
    let _steady = suite.steady();
    let file = suite.scratch.path().join("agent.yaml");
    let out = program()
        .args(["check", "--node", "node1", "--listen", "127.0.0.1:0", "--config"])
        .arg(&file)
        .arg("--kubeconfig")
        .arg(&suite.rights)
        .output()
        .expect("the program starts");
    let report = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(0), "{report}");
    for wanted in ["ingresses", "ingressclasses", "services", "endpoints", "secrets"] {
        assert!(report.contains(wanted), "nothing on {wanted}: {report}");
    }
}

pub(crate) fn proxy_does_without_the_optional_rights(suite: &Suite) {
    let _steady = suite.steady();
    let common = common(suite);
    let namespace = &suite.namespace.name;
    let (who, class) = (format!("{namespace}-narrow"), format!("{namespace}-narrow"));
    let authority = Authority::new("narrow");
    suite.apply(&secret("narrow-tls", &authority.host("*.narrow.test")));
    suite.apply(&account::granted(&narrow("narrow-tls"), &who));
    let folder = suite.scratch.path();
    let kubeconfig = account::kubeconfig(suite.tool(), namespace, &who, folder);

    let spec = |host: &str, pattern: &str| {
        let mut odd = path(pattern, common);
        odd["pathType"] = json!("ImplementationSpecific");
        json!({
            "ingressClassName": class,
            "tls": [{"hosts": [host], "secretName": "narrow-tls"}],
            "rules": [rule(host, common), {"host": format!("odd.{host}"), "http": {"paths": [odd]}}],
        })
    };
    let regex = json!({"podmeter.io/use-regex": "true"});
    suite.apply(&ingress_of("narrow", &regex, &spec("one.narrow.test", "/odd(")));
    let proxy = json!({"ingress_class": class, "publish_address": ["192.0.2.12"]});
    let agent = agent_of(suite, "narrow", &proxy, &kubeconfig);
    let target = agent.https("one.narrow.test", authority.trusted(None));
    until_status(&target, "/", 200);
    // Nodes spread what all of them would write.
    wait::until("both refusals to be told", 3 * START, || {
        let log = agent.log();
        (log.contains(NO_EVENTS) && log.contains(NO_STATUS)).then_some(())
    });
    until_faults(&agent, "narrow", &["regex"]);

    // Another fault, and another status to be written: neither is told again.
    suite.apply(&ingress_of("narrow", &regex, &spec("one.narrow.test", "/odder(")));
    suite.apply(&ingress_of("narrower", &regex, &spec("two.narrow.test", "/odd(")));
    until_faults(&agent, "narrower", &["regex"]);
    until_status(&target, "/", 200);
    let log = agent.log();
    for sentence in [NO_EVENTS, NO_STATUS] {
        assert_eq!(log.matches(sentence).count(), 1, "{log}");
    }
    assert_eq!(agent.get("/readyz").status, 200);
}

/// As the manifest's comments say: one Secret by its name, and neither Events nor status.
fn narrow(secret: &str) -> String {
    let parts: Vec<&str> = account::PROXY_RIGHTS.split("---\n").collect();
    let (needed, _) = parts[0].split_once("  # To narrow it").expect("it says how");
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": secret},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [secret], "verbs": ["list", "watch"]}],
    });
    let binding =
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: narrow}\n\
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: SECRET}\n\
        subjects:\n  - kind: ServiceAccount\n    name: podmeter\n    namespace: podmeter\n"
            .replace("SECRET", secret);
    [account::RIGHTS, needed, parts[1], &role.to_string(), &binding].join("\n---\n")
}
