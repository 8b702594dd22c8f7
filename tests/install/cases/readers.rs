//! Who may read, told by tokens that the API server knows, and how fast that is taken away again.

use std::time::{Duration, Instant};

use crate::cluster::page::Page;
use crate::cluster::wait;
use crate::install::reader::{reader, stranger};
use crate::install::release::{Release, SOON};
use crate::install::suite::Suite;
use crate::install::workload::{self, POD};

/// From deleting a binding until its account is refused.
const BINDING: Duration = Duration::from_secs(10);
/// The same for the account itself, which the API server goes on knowing for up to 10 s.
const ACCOUNT: Duration = Duration::from_secs(16);

pub(crate) fn token_or_binding_is_withdrawn_alone_within_seconds(suite: &Suite) {
    let release = Release::by_helm(suite, "readers", "config: {interval: 1s}");
    workload::start(&release);
    let [watcher, leaver, other] =
        ["watcher", "leaver", "other"].map(|name| reader(&release, name));
    let stranger = stranger(&release, "stranger");

    wait::until("the workload's series have its labels", SOON, || {
        let page = Page::strict(&release.get("/metrics", Some(&watcher)).body);
        let page = page.unwrap_or_else(|fault| panic!("{fault}"));
        let of_pod = [("namespace", release.name.as_str()), ("pod", POD)];
        let series = page.one("container_memory_working_set_bytes", &of_pod)?;
        assert_eq!(series.label("container"), "web");
        assert_eq!((series.label("label_app"), series.label("label_team")), ("shop", "orders"));
        Some(())
    });
    assert_eq!(release.get("/metrics", None).status, 401);
    assert_eq!(release.get("/metrics", Some("nobody's")).status, 401);
    assert_eq!(release.get("/metrics", Some(&stranger)).status, 403);
    assert_eq!(release.get("/metrics", Some(&leaver)).status, 200);

    release.kubectl(&["delete", "rolebinding", "watcher"]);
    refused(&release, &watcher, 403, "RoleBinding", BINDING);
    release.kubectl(&["delete", "serviceaccount", "leaver"]);
    refused(&release, &leaver, 401, "ServiceAccount", ACCOUNT);
    assert_eq!(release.get("/metrics", Some(&other)).status, 200, "another reader is refused");
}

/// Asks until it is refused, which has to be in time.
fn refused(release: &Release<'_>, token: &str, status: u16, what: &str, most: Duration) {
    let began = Instant::now();
    wait::until(&format!("refused without its {what}"), SOON, || {
        let answer = release.get("/metrics", Some(token)).status;
        assert!(answer == 200 || answer == status, "{answer}");
        (answer == status).then_some(())
    });
    let took = began.elapsed();
    eprintln!("install: refused {:.1} s after the {what} was deleted", took.as_secs_f64());
    assert!(took <= most, "refused after {took:?}");
}
