//! The watch against an API server that fails in every way that real ones were seen to.
//!
//! Waits are on what the watch publishes, with a generous limit; nothing sleeps to let something happen.

#![allow(clippy::unwrap_used, reason = "helpers of a suite are tests too")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::apiserver::{ApiServer, Fault, On, Options, Verb};
use collector::api::client;
use collector::api::health::Skipped;
use collector::api::health::{Event, Failure, Feed, Health};
use collector::cgroup::PodUid;
use collector::pods::access::{self, Access};
use collector::pods::index::Index;
use collector::pods::labels::{self, Filter, Rules};
use collector::pods::startup::Startup;
use collector::pods::watch::{self, Pace, Settings, Watch};
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Far more than any wait needs, so that only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(30);

struct Running {
    index: Receiver<Arc<Index>>,
    health: Arc<Health>,
    stop: CancellationToken,
    tasks: JoinSet<Result<(), watch::Error>>,
}

impl Running {
    fn start(server: &ApiServer) -> Self {
        Self::start_with(client::at(server.url().parse().unwrap()).unwrap(), settings())
    }

    fn start_with(client: kube::Client, settings: Settings) -> Self {
        let (watch, index, health) = Watch::new(client, settings).unwrap();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(watch.run(stop.clone()));
        Self { index, health, stop, tasks }
    }

    async fn wait(&mut self, what: &str, is_met: impl Fn(&Index) -> bool) -> Arc<Index> {
        let waited = tokio::time::timeout(LIMIT, self.index.wait_for(|index| is_met(index))).await;
        waited
            .unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}; {:?}", self.health))
            .unwrap()
            .clone()
    }

    async fn has(&mut self, uids: &[u128]) -> Arc<Index> {
        self.wait(&format!("pods {uids:?}"), |index| has(index, uids)).await
    }

    /// For what is not published: yields until it holds.
    async fn until(&self, what: &str, is_met: impl Fn(&Health) -> bool) {
        let poll = async {
            while !is_met(&self.health) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, poll)
            .await
            .unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}; {:?}", self.health));
    }

    fn failures(&self, kind: Failure) -> u64 {
        self.health.failures().find(|(found, _)| *found == kind).unwrap().1
    }

    fn skipped(&self, reason: Skipped) -> u64 {
        self.health.skipped().find(|(found, _)| *found == reason).unwrap().1
    }

    fn events(&self, event: Event) -> u64 {
        self.health
            .events()
            .find(|(feed, found, _)| *feed == Feed::Pods && *found == event)
            .unwrap()
            .2
    }

    async fn stop(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(LIMIT, self.tasks.join_next()).await.unwrap();
        ended.unwrap().unwrap().unwrap();
    }
}

fn settings() -> Settings {
    let rules = Rules::new(&labels::Settings::default()).unwrap();
    let pace = Pace { min: Duration::from_millis(1), max: Duration::from_millis(20) };
    Settings { node: "n1".to_owned(), rules, pace }
}

fn has(index: &Index, uids: &[u128]) -> bool {
    index.pods().len() == uids.len()
        && uids.iter().all(|uid| index.pod(PodUid::Uid(*uid)).is_some())
}

fn pod(uid: u128) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": format!("web-{uid}"), "namespace": "shop", "uid": PodUid::Uid(uid).to_string(), "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "main", "env": [{"name": "SECRET", "value": "x"}]}]},
        "status": {"phase": "Running"},
    })
}

fn delete(server: &ApiServer, uid: u128) {
    server.delete("Pod", "shop", &format!("web-{uid}"));
}

fn label<'a>(index: &'a Index, uid: u128, name: &str) -> Option<&'a str> {
    let pod = index.pod(PodUid::Uid(uid))?;
    pod.labels.iter().find(|label| &*label.name == name).map(|label| &*label.value)
}

#[tokio::test]
async fn thousand_pods_come_in_one_list_from_the_cache_and_nothing_else_is_asked_for() {
    let server = ApiServer::start().await.unwrap();
    (1..=1_000).for_each(|uid| server.apply(pod(uid)));
    let mut elsewhere = pod(2_000);
    elsewhere["spec"]["nodeName"] = "n2".into();
    server.apply(elsewhere);
    let mut running = Running::start(&server);

    running.wait("all pods", |index| index.pods().len() == 1_000).await;
    server.apply(pod(1_001));
    running.wait("one more", |index| index.pods().len() == 1_001).await;

    let requests = server.requests();
    let first = requests.iter().find(|seen| seen.path == "/api/v1/pods").unwrap();
    assert_eq!(
        (first.verb, first.parameter("resourceVersion"), first.parameter("limit")),
        (Verb::List, Some("0"), None)
    );
    for seen in &requests {
        match seen.path.as_str() {
            "/api/v1/pods" => assert_eq!(seen.parameter("fieldSelector"), Some("spec.nodeName=n1")),
            "/api/v1/nodes" => {
                assert_eq!(seen.parameter("fieldSelector"), Some("metadata.name=n1"));
            }
            other => panic!("{other} was asked for"),
        }
        assert!(seen.agent.starts_with("podmeter/"), "{seen:?}");
    }
    assert_eq!(
        requests.iter().filter(|seen| seen.verb == Verb::List).count(),
        2,
        "one list each of pods and nodes"
    );
    assert!(running.health.is_synced(Feed::Pods) && running.health.is_connected(Feed::Pods));
    assert!(running.health.since_contact().unwrap() < LIMIT);
    running.stop().await;
}

#[tokio::test]
async fn pods_come_change_and_go() {
    let server = ApiServer::start().await.unwrap();
    let mut running = Running::start(&server);
    server.apply(pod(1));
    let index = running.has(&[1]).await;
    assert_eq!(label(&index, 1, "label_app"), Some("web"));

    let mut changed = pod(1);
    changed["metadata"]["labels"]["app"] = "api".into();
    server.apply(changed);
    running.wait("new label", |index| label(index, 1, "label_app") == Some("api")).await;

    delete(&server, 1);
    running.has(&[]).await;
    assert_eq!(running.events(Event::Deleted), 1);
}

#[tokio::test]
async fn first_readiness_is_kept_whatever_readiness_does_later() {
    let server = ApiServer::start().await.unwrap();
    let with = |phase: &str, ready: &str, changed: &str| {
        let mut pod = pod(1);
        pod["status"] = json!({"phase": phase, "startTime": "2026-01-01T00:00:01Z", "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "Ready", "status": ready, "lastTransitionTime": changed},
        ]});
        pod
    };
    let startup = |index: &Index| index.pod(PodUid::Uid(1)).map(|pod| pod.startup);
    server.apply(with("Pending", "False", "2026-01-01T00:00:01Z"));
    let mut running = Running::start(&server);
    running.wait("not ready", |index| startup(index) == Some(Startup::Awaited)).await;
    let took = Some(Startup::Took(Duration::from_secs(30)));
    server.apply(with("Running", "True", "2026-01-01T00:00:30Z"));
    running.wait("ready", |index| startup(index) == took).await;
    for (ready, changed) in [("False", "2026-01-01T01:00:00Z"), ("True", "2026-01-01T02:00:00Z")] {
        server.apply(with("Running", ready, changed));
        let is_seen = |index: &Index| {
            index.pod(PodUid::Uid(1)).is_some_and(|pod| pod.ready == Some(ready == "True"))
        };
        let index = running.wait("the flap", is_seen).await;
        assert_eq!(startup(&index), took);
    }
}

#[tokio::test]
async fn odd_objects_are_skipped_and_counted_and_the_stream_goes_on() {
    let server = ApiServer::start().await.unwrap();
    let odd = |number: u128, change: fn(&mut Value)| {
        let mut object = pod(number);
        change(&mut object);
        object
    };
    let oddities = [
        odd(11, |pod| pod["metadata"]["uid"] = Value::Null),
        odd(12, |pod| pod["metadata"]["namespace"] = Value::Null),
        odd(13, |pod| pod["metadata"]["uid"] = "not a uid".into()),
    ];
    let whole = [
        odd(1, |pod| drop(pod.as_object_mut().unwrap().remove("status"))),
        odd(2, |pod| pod["metadata"]["labels"] = Value::Null),
        odd(3, |pod| pod["spec"]["containers"] = Value::Null),
        odd(4, |pod| pod["status"]["containerStatuses"] = json!([null, 7, {"name": ["x"]}])),
        odd(5, |pod| pod["metadata"]["labels"] = json!({"deep": {"er": [1]}, "number": 5})),
    ];
    oddities.iter().chain(&whole[..2]).for_each(|object| server.apply(object.clone()));
    let mut running = Running::start(&server);
    running.has(&[1, 2]).await;
    assert_eq!((running.skipped(Skipped::NoUid), running.skipped(Skipped::NoName)), (2, 1));

    oddities.iter().chain(&whole[2..]).for_each(|object| server.apply(object.clone()));
    let index = running.has(&[1, 2, 3, 4, 5]).await;
    assert_eq!(label(&index, 5, "label_number"), Some("5"));
    assert_eq!((running.skipped(Skipped::NoUid), running.skipped(Skipped::NoName)), (4, 2));
    assert_eq!(running.failures(Failure::Decode), 0);
}

#[tokio::test]
async fn watch_that_is_cut_goes_on_where_it_was() {
    let server = ApiServer::start().await.unwrap();
    server.apply(pod(1));
    let mut running = Running::start(&server);
    running.has(&[1]).await;
    for uid in 2..=5 {
        running.until("open watch", |health| health.is_connected(Feed::Pods)).await;
        server.cut_watches();
        server.apply(pod(uid));
        running.has(&(1..=uid).collect::<Vec<_>>()).await;
    }
    assert_eq!(running.events(Event::Relisted), 1, "no list was needed");
    assert!(running.failures(Failure::Unreachable) >= 4);
}

#[tokio::test]
async fn pods_deleted_in_a_gap_leave_with_the_list_that_follows() {
    for by_status in [false, true] {
        let server = ApiServer::start().await.unwrap();
        server.refuse_old_versions_by_status(by_status);
        server.apply(pod(1));
        server.apply(pod(2));
        let mut running = Running::start(&server);
        running.has(&[1, 2]).await;
        running.until("open watch", |health| health.is_connected(Feed::Pods)).await;

        // Without an await in between, no watch sees anything of this but the cut.
        server.cut_watches();
        delete(&server, 1);
        server.apply(pod(3));
        server.compact();

        running.has(&[2, 3]).await;
        assert!(running.failures(Failure::Gone) >= 1, "by status: {by_status}");
        assert_eq!((running.events(Event::Relisted), running.events(Event::Deleted)), (2, 0));
    }
}

#[tokio::test]
async fn what_is_known_stays_while_the_server_is_away() {
    let mut server = ApiServer::start().await.unwrap();
    server.apply(pod(1));
    let mut running = Running::start(&server);
    running.has(&[1]).await;
    server.stop().await;

    running
        .until("several failures", |health| {
            health.failures().any(|(kind, count)| kind == Failure::Unreachable && count >= 12)
        })
        .await;
    assert!(has(&running.index.borrow(), &[1]));
    assert!(running.health.is_synced(Feed::Pods) && !running.health.is_connected(Feed::Pods));
    assert!(running.health.trouble(Feed::Pods).unwrap().starts_with("cannot reach the API server"));

    delete(&server, 1);
    server.apply(pod(2));
    server.restart().await.unwrap();
    running.has(&[2]).await;
    running
        .until("recovery", |health| {
            health.is_connected(Feed::Pods) && health.trouble(Feed::Pods).is_none()
        })
        .await;
}

#[tokio::test]
async fn old_index_stays_in_force_while_lists_fail() {
    let server = ApiServer::start().await.unwrap();
    server.apply(pod(1));
    let mut running = Running::start(&server);
    running.has(&[1]).await;
    running.until("open watch", |health| health.is_connected(Feed::Pods)).await;
    running.index.borrow_and_update();

    let list = || On::request(Verb::List, "pods");
    server.fault(list(), 2, Fault::status(500));
    server.fault(list(), 1, Fault::Cut);
    server.fault(list(), 1, Fault::Garbage);
    server.fault(list(), 1, Fault::Empty);
    server.fault(list(), 1, Fault::Delay(Duration::from_millis(50)));
    server.compact();
    server.cut_watches();
    running
        .until("second list", |health| {
            health.events().any(|(feed, event, count)| {
                feed == Feed::Pods && event == Event::Relisted && count >= 2
            })
        })
        .await;

    assert!(has(&running.index.borrow(), &[1]));
    assert!(running.failures(Failure::ServerError) >= 2 && running.failures(Failure::Decode) >= 2);
    server.apply(pod(2));
    running.has(&[1, 2]).await;
}

#[tokio::test]
async fn broken_watches_of_every_kind_are_survived() {
    let server = ApiServer::start().await.unwrap();
    let watch = || On::request(Verb::Watch, "pods");
    server.fault(watch(), 2, Fault::Garbage);
    server.fault(watch(), 2, Fault::Cut);
    server.fault(watch(), 2, Fault::Event(500));
    server.fault(watch(), 1, Fault::Event(410));
    server.fault(watch(), 6, Fault::Empty);
    server.fault(watch(), 2, Fault::status(503));
    let mut running = Running::start(&server);
    server.apply(pod(1));
    running.has(&[1]).await;
    running.until("good watch", |health| health.is_connected(Feed::Pods)).await;
    server.apply(pod(2));
    running.has(&[1, 2]).await;
}

#[tokio::test]
async fn throttled_request_waits_as_long_as_the_server_asks() {
    let server = ApiServer::start().await.unwrap();
    server.apply(pod(1));
    server.fault(On::request(Verb::List, "pods"), 1, Fault::throttled(1));
    let start = Instant::now();
    let mut running = Running::start(&server);
    running.has(&[1]).await;
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(running.failures(Failure::Throttled), 1);
}

#[tokio::test]
async fn refusal_is_explained_until_it_ends() {
    let server = ApiServer::start().await.unwrap();
    server.apply(pod(1));
    server.fault(On::resource("pods"), usize::MAX, Fault::status(403));
    let mut running = Running::start(&server);
    running.until("trouble", |health| health.trouble(Feed::Pods).is_some()).await;
    let trouble = running.health.trouble(Feed::Pods).unwrap();
    assert!(trouble.contains("the ClusterRole lacks list or watch on pods"), "{trouble}");
    assert!(!running.health.is_synced(Feed::Pods));

    server.heal();
    running.has(&[1]).await;
    running.until("recovery", |health| health.trouble(Feed::Pods).is_none()).await;
}

#[tokio::test]
async fn versions_that_go_back_or_repeat_neither_lose_nor_resurrect_pods() {
    let server = ApiServer::start().await.unwrap();
    for uid in 1..=3 {
        server.apply(pod(uid));
    }
    let mut running = Running::start(&server);
    running.has(&[1, 2, 3]).await;
    running.until("open watch", |health| health.is_connected(Feed::Pods)).await;

    server.lie(Some("1"));
    server.apply(pod(4));
    delete(&server, 2);
    server.bookmark();
    running.has(&[1, 3, 4]).await;
    server.cut_watches();
    server.apply(pod(5));
    running.has(&[1, 3, 4, 5]).await;

    server.lie(None);
    // A server whose cache lags behind still lists the pod that was deleted.
    let stale = json!({"metadata": {"resourceVersion": "6"}, "items": [pod(1), pod(2), pod(3), pod(4), pod(5)]});
    let stale = Fault::Status { code: 200, headers: Vec::new(), body: stale.to_string() };
    server.fault(On::request(Verb::List, "pods"), 1, stale);
    server.fault(On::request(Verb::Watch, "pods"), 1, Fault::Event(410));
    running.until("open watch", |health| health.is_connected(Feed::Pods)).await;
    server.cut_watches();
    server.apply(pod(6));
    running.has(&[1, 3, 4, 5, 6]).await;
    assert!(running.skipped(Skipped::Stale) >= 1);
}

#[tokio::test]
async fn restored_server_with_lower_versions_is_followed() {
    let mut server = ApiServer::start().await.unwrap();
    for uid in 1..=20 {
        server.apply(pod(uid));
    }
    let mut running = Running::start(&server);
    running.wait("all", |index| index.pods().len() == 20).await;
    let port = server.url().rsplit(':').next().unwrap().parse().unwrap();
    server.stop().await;

    let restored = ApiServer::start_with(Options { port, ..Options::default() }).await.unwrap();
    restored.apply(pod(1));
    restored.fault(On::request(Verb::Watch, "pods"), 1, Fault::Event(410));
    running.has(&[1]).await;
}

#[tokio::test]
async fn node_and_namespaces_are_followed_too() {
    let server = ApiServer::start().await.unwrap();
    let node = |cpu: &str| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": {"capacity": {"cpu": cpu, "pods": "110"}}});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "cash", "other": "x"}}});
    server.apply(node("4"));
    server.apply(namespace);
    let namespace_labels = Filter { include: vec!["team".to_owned()], exclude: Vec::new() };
    let rules =
        Rules::new(&labels::Settings { namespace_labels, ..labels::Settings::default() }).unwrap();
    let client = client::at(server.url().parse().unwrap()).unwrap();
    let mut running = Running::start_with(client, Settings { rules, ..settings() });

    let index = running
        .wait("both", |index| index.node().is_some() && !index.namespace_labels("shop").is_empty())
        .await;
    assert_eq!(
        (index.node().unwrap().capacity.cpu, index.node().unwrap().pods_capacity),
        (Some(4.0), Some(110.0))
    );
    assert_eq!(&*index.namespace_labels("shop")[0].name, "namespace_label_team");

    server.apply(node("8"));
    running.wait("new size", |index| index.node().unwrap().capacity.cpu == Some(8.0)).await;
    server.delete("Namespace", "", "shop");
    running.wait("no namespace", |index| index.namespace_labels("shop").is_empty()).await;
}

#[tokio::test]
async fn credentials_of_the_kubeconfig_are_used_and_a_wrong_one_is_explained() {
    let server = ApiServer::start_with(Options {
        token: Some("let-me-in".to_owned()),
        ..Options::default()
    })
    .await
    .unwrap();
    server.apply(pod(1));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, server.kubeconfig()).unwrap();
    let client = client::from_kubeconfig(&path).await.unwrap();
    let index = watch::list(&client, &settings(), LIMIT).await.unwrap();
    assert!(has(&index, &[1]));

    let anonymous = client::at(server.url().parse().unwrap()).unwrap();
    let error = watch::list(&anonymous, &settings(), LIMIT).await.unwrap_err();
    assert!(matches!(error, watch::Error::Refused { kind: Failure::Unauthorized, .. }), "{error}");
    assert!(!error.to_string().contains("let-me-in"));
}

#[tokio::test]
async fn one_list_ends_in_time() {
    let server = ApiServer::start().await.unwrap();
    server.fault(On::any(), 1, Fault::Delay(LIMIT));
    let client = client::at(server.url().parse().unwrap()).unwrap();
    let error = watch::list(&client, &settings(), Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, watch::Error::Late(_)), "{error}");
}

#[tokio::test]
async fn rights_are_found_out_by_the_requests_themselves() {
    let mut server = ApiServer::start().await.unwrap();
    let client = client::at(server.url().parse().unwrap()).unwrap();
    server.fault(On::request(Verb::Watch, "nodes"), 1, Fault::status(403));
    let rights = access::check(&client, &settings()).await.unwrap();
    let denied: Vec<_> = rights
        .iter()
        .filter(|right| right.access != Access::Allowed)
        .map(|right| (right.verb, right.feed))
        .collect();
    assert_eq!((rights.len(), denied), (4, vec![("watch", Feed::Node)]));

    server.stop().await;
    let rights = access::check(&client, &settings()).await.unwrap();
    assert!(rights.iter().all(|right| matches!(right.access, Access::Unknown(_))), "{rights:?}");
}
