//! Certificates from Secrets that change while connections are open.

use std::time::Duration;

use serde_json::json;

use super::{common, faults, ingress_of, rule, secret, until_faults, until_status};
use crate::cluster::authority::{Authority, Pair};
use crate::cluster::client::Target;
use crate::cluster::load::{Load, Traffic};
use crate::cluster::suite::{START, Suite};
use crate::cluster::wait;

pub(crate) fn proxy_takes_a_rotated_certificate_and_keeps_the_last_good_one(suite: &Suite) {
    let _steady = suite.steady();
    let common = common(suite);
    let authority = Authority::new("rotation");
    let [first, second, third] = [(); 3].map(|()| authority.host("rotated.test"));
    suite.apply(&secret("rotated-tls", &first));
    let spec = json!({
        "ingressClassName": suite.namespace.name,
        "tls": [{"hosts": ["rotated.test"], "secretName": "rotated-tls"}],
        "rules": [rule("rotated.test", common)],
    });
    suite.apply(&ingress_of("rotated", &json!({}), &spec));
    let target = suite.agent.https("rotated.test", authority.trusted(None));
    until_status(&target, "/", 200);
    assert!(shows(&target, &first));
    let traffic = Traffic { clients: 3, every: Duration::from_millis(25), posts: 5 };
    let load = Load::start(&target, traffic);

    suite.apply(&secret("rotated-tls", &second));
    wait::until("the new certificate", START, || shows(&target, &second).then_some(()));

    // A key that is another certificate's, and then no key at all.
    let foreign = Pair { chain: third.chain.clone(), key: first.key.clone() };
    let nothing = Pair { chain: third.chain.clone(), key: "lost".to_owned() };
    for broken in [&foreign, &nothing] {
        suite.apply(&secret("rotated-tls", broken));
        wait::until("the fault", START, || {
            (!faults(&suite.agent, "rotated").is_empty()).then_some(())
        });
        assert!(shows(&target, &second), "the last good one stays");
    }
    suite.kubectl(&["delete", "secret", "rotated-tls"]);
    until_faults(&suite.agent, "rotated", &["certificate_missing"]);
    assert!(shows(&target, &second), "the last good one stays without its Secret");

    suite.apply(&secret("rotated-tls", &third));
    wait::until("the third certificate", START, || shows(&target, &third).then_some(()));
    until_faults(&suite.agent, "rotated", &[]);
    let report = load.finish();
    eprintln!("cluster: rotated twice: {}", report.line());
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    assert_eq!(report.connections, traffic.clients, "none was dropped");
}

/// Whether a new connection is shown this certificate.
fn shows(target: &Target, pair: &Pair) -> bool {
    let mut client = target.client();
    assert_eq!(client.get("/").expect("an answer").status, 200);
    client.certificate() == Some(pair.der())
}
