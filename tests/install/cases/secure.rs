//! HTTPS with a certificate of a Secret that is renewed.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cluster::authority::{Authority, Pair};
use crate::cluster::wait;
use crate::install::reader::reader;
use crate::install::release::Release;
use crate::install::suite::Suite;

/// A renewed Secret comes with the kubelet's next look at the pod, and is read within a few seconds then.
const RENEWED: Duration = Duration::from_secs(120);
/// In the certificates.
const HOST: &str = "podmeter.test";

pub(crate) fn renewed_certificate_is_served_by_the_pod_that_runs(suite: &Suite) {
    let authority = Authority::new("install");
    let release = Release::planned(suite, "secure");
    let first = authority.host(HOST);
    put(&release, &first);
    release.helm("install", "tls: {secretName: podmeter-tls}");
    release.ready();
    let before = release.pod();
    let token = reader(&release, "watcher");

    let mut target = release.target(Some(&token)).within(authority.trusted(None));
    HOST.clone_into(&mut target.host);
    let shown = || {
        let mut client = target.client();
        let answer = client.get("/metrics").expect("an answer within TLS");
        assert_eq!(answer.status, 200);
        client.certificate()
    };
    assert_eq!(shown(), Some(first.der()));
    let plain = release.target(Some(&token)).get("/metrics");
    assert!(plain.is_err(), "plain HTTP is answered: {plain:?}");

    let second = authority.host(HOST);
    put(&release, &second);
    let began = Instant::now();
    wait::until("the renewed certificate is shown", RENEWED, || {
        (shown() == Some(second.der())).then_some(())
    });
    eprintln!("install: a renewed certificate is served after {} s", began.elapsed().as_secs());
    let after = release.pod();
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"], "another pod");
    let status = &after["status"]["containerStatuses"][0];
    assert_eq!((&status["restartCount"], &status["ready"]), (&json!(0), &json!(true)), "{status}");
    let unhealthy = release.kubectl(&["get", "events", "--field-selector", "reason=Unhealthy"]);
    // One look may have come before it listened.
    let failed: Vec<_> = unhealthy.lines().filter(|line| line.contains("Liveness")).collect();
    assert!(failed.is_empty(), "probes failed: {failed:?}");
}

fn put(release: &Release<'_>, pair: &Pair) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "podmeter-tls"},
        "stringData": {"tls.crt": pair.chain, "tls.key": pair.key},
    });
    release.apply(&secret.to_string());
}
