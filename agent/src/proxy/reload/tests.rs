//! What changes of the file are told, refused and counted.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;

use collector::proxy::control::{Authorities, Certificate, ToldTls};
use collector::proxy::route::Fault;
use collector::schema::Series;
use collector::snapshot::{Contribute, Snapshot};
use tokio::sync::{mpsc, watch};

use super::*;
use crate::config::fixed;

/// A file with these routes, each to a service of its name.
fn text(names: &[&str]) -> String {
    let services =
        names.iter().map(|name| format!("    - {{name: {name}, endpoints: [\"10.0.0.1:80\"]}}\n"));
    let routes = names
        .iter()
        .map(|name| format!("    - {{name: {name}, prefix: /{name}, backends: [{name}]}}\n"));
    format!(
        "proxy:\n  listen: [\"127.0.0.1:8080\"]\n  services:\n{}  routes:\n{}",
        services.collect::<String>(),
        routes.collect::<String>()
    )
}

fn flags() -> (Launch, Host) {
    let launch = Launch { standalone: true, ..Launch::default() };
    (launch, Host { hostname: "n".to_owned(), in_cluster: false, namespace: None })
}

fn outcome(start: &str, old: &Known, text: &str) -> Outcome {
    let (launch, host) = flags();
    let understood = config::understand("f.yaml".as_ref(), text, &launch, &host);
    reloaded(old, start, text, understood)
}

fn good(start: &str, old: &Known, text: &str) -> (Change, Vec<&'static str>) {
    match outcome(start, old, text) {
        Outcome::Good { change, restart } => (change, restart),
        Outcome::Bad(faults) => panic!("{faults}"),
    }
}

fn known(names: &[&str]) -> Known {
    good("", &Known::default(), &text(names)).0.known
}

#[test]
fn only_what_differs_is_told() {
    let old = known(&["a", "b"]);
    let (change, restart) = good(&text(&["a", "b"]), &old, &text(&["b", "c"]));
    let keys: Vec<_> = change.services.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!((keys, change.gone), (vec![fixed("c")], vec![fixed("a")]));
    assert_eq!(change.routes.map(|routes| routes.len()), Some(2));
    assert!(restart.is_empty());

    let (change, _) = good("", &old, &format!("{}# a comment\n", text(&["a", "b"])));
    assert_eq!(change, Change { known: old, ..Change::default() });
}

#[test]
fn a_fault_changes_nothing_and_all_faults_are_told() {
    let old = known(&["a"]);
    let wrong = text(&["a"]).replace("prefix: /a", "prefix: a") + "log: {format: xml}\n";
    let Outcome::Bad(faults) = outcome("", &old, &wrong) else { panic!("it is wrong") };
    assert_eq!(faults.lines().count(), 2, "{faults}");
}

#[test]
fn a_proxy_that_would_stop_listening_keeps_its_routes_until_the_restart() {
    let old = known(&["a"]);
    let (change, restart) = good(&text(&["a"]), &old, "interval: 5s\n");
    assert_eq!(change, Change { known: old, ..Change::default() });
    assert_eq!(restart, ["interval", "proxy.listen"]);
}

#[test]
fn other_keys_that_changed_since_the_start_are_named() {
    let changed = |before, after| file::changed(before, after);
    assert_eq!(
        changed("log: {filter: info}", "log: {filter: debug}\ninterval: 5s"),
        ["interval", "log.filter"]
    );
    assert_eq!(
        changed("proxy: {access_log: true}", "proxy: {access_log: {path: /x}}"),
        ["proxy.access_log"]
    );
    assert_eq!(
        changed("proxy: {tls: {certificates: [{key: a}]}}", "proxy: {tls: {certificates: []}}"),
        ["proxy.tls.certificates"]
    );
    assert_eq!(changed("log:\n", "proxy: {routes: [{name: a}], services: []}"), [""; 0]);
    assert_eq!(changed("# nothing\n", ""), [""; 0]);
}

/// Keeps what it is told, a word each.
struct Recorder {
    said: Mutex<Vec<String>>,
    news: mpsc::UnboundedSender<()>,
}

impl Recorder {
    fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<()>) {
        let (news, heard) = mpsc::unbounded_channel();
        (Arc::new(Self { said: Mutex::default(), news }), heard)
    }

    fn said(&self) -> Vec<String> {
        std::mem::take(&mut self.said.lock().unwrap())
    }
}

impl ToldTls for Recorder {
    fn certificates(&self, _: Source, _: Vec<Certificate>) -> Vec<Fault> {
        Vec::new()
    }

    fn authorities(&self, _: Authorities) -> Vec<Fault> {
        Vec::new()
    }
}

impl Told for Recorder {
    fn routes(&self, source: Source, routes: Vec<Route>) -> Vec<Fault> {
        let names: Vec<&str> = routes.iter().map(|route| &*route.origin.name).collect();
        self.said.lock().unwrap().push(format!("{} {}", source.as_str(), names.join(" ")));
        let _ = self.news.send(());
        Vec::new()
    }

    fn service(&self, key: &ServiceKey, service: Option<Service>) {
        let sign = if service.is_some() { '+' } else { '-' };
        self.said.lock().unwrap().push(format!("{sign}{}", key.name));
    }

    fn wanted(&self) -> watch::Receiver<Arc<BTreeSet<ServiceKey>>> {
        watch::channel(Arc::default()).1
    }
}

/// Follows a file that held `start` and is never read.
fn following(start: &str, told: Arc<Recorder>) -> Reload {
    let (launch, host) = flags();
    let settings = config::understand("f.yaml".as_ref(), start, &launch, &host).unwrap();
    let loaded = Loaded { settings, file: Some(("f.yaml".into(), start.to_owned())) };
    Reload::new(&loaded, launch, host, told).unwrap()
}

/// Reloads that succeeded, those that failed, and whether the file is valid.
fn counts(stats: &Stats) -> String {
    let mut snapshot = Snapshot::default();
    stats.clone().contribute(&mut snapshot, 0);
    let points =
        [Series::ConfigReloads, Series::ConfigValid].map(|series| snapshot.points(series.into()));
    points.concat().iter().map(|point| point.value.to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn services_come_before_the_routes_and_go_after_them() {
    let (told, _heard) = Recorder::new();
    let mut reload = following(&text(&["a"]), told.clone());
    reload.look(Ok(text(&["a"])));
    assert_eq!(told.said(), [""; 0], "nothing changed");
    reload.look(Ok(text(&["b"])));
    assert_eq!(told.said(), ["+b", "file b", "-a"]);
    assert_eq!(counts(&reload.stats()), "1 0 1");
}

#[test]
fn a_bad_file_is_counted_once_and_a_good_one_makes_it_valid_again() {
    let (told, _heard) = Recorder::new();
    let mut reload = following(&text(&["a"]), told.clone());
    for _ in 0..2 {
        reload.look(Ok("proxy: [".to_owned()));
        assert_eq!(counts(&reload.stats()), "0 1 0");
    }
    for _ in 0..2 {
        reload.look(Err("f.yaml: cannot read it: gone".to_owned()));
        assert_eq!(counts(&reload.stats()), "0 2 0");
    }
    assert_eq!(told.said(), [""; 0], "the last good one stays");
    reload.look(Ok(text(&["a"])));
    assert_eq!(counts(&reload.stats()), "1 2 1");
    assert_eq!(told.said(), [""; 0], "it is what was in force");
}

#[test]
fn a_file_that_is_wrong_for_a_reason_outside_of_it_is_understood_again() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let needs = text(&["b"])
        .replace("  services:", &format!("  affinity_key: {}\n  services:", key.display()));
    let (told, _heard) = Recorder::new();
    let mut reload = following(&text(&["a"]), told.clone());
    for _ in 0..3 {
        reload.look(Ok(needs.clone()));
        assert_eq!((told.said(), counts(&reload.stats())), (vec![], "0 1 0".to_owned()));
    }
    fs::write(&key, "k".repeat(64)).unwrap();
    reload.look(Ok(needs.clone()));
    assert_eq!(told.said(), ["+b", "file b", "-a"]);
    assert_eq!(counts(&reload.stats()), "1 1 1");
    reload.look(Ok(needs));
    assert_eq!(counts(&reload.stats()), "1 1 1", "and then it is left alone");
}

#[test]
fn without_a_file_there_is_nothing_to_follow() {
    let (launch, host) = flags();
    let settings = config::understand("f.yaml".as_ref(), "", &launch, &host).unwrap();
    let (told, _heard) = Recorder::new();
    assert!(Reload::new(&Loaded { settings, file: None }, launch, host, told).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_config_map_that_is_swapped_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let link = |version: &str| {
        std::os::unix::fs::symlink(at(version), at("new")).unwrap();
        fs::rename(at("new"), at("current")).unwrap();
    };
    for (version, names) in [("v1", ["a"]), ("v2", ["b"])] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("podmeter.yaml"), text(&names)).unwrap();
    }
    link("v1");
    let (launch, host) = flags();
    let launch = Launch { config: Some(at("current").join("podmeter.yaml")), ..launch };
    let loaded = config::load_file(&launch, &host).unwrap();
    let (told, mut heard) = Recorder::new();
    let reload = Reload::new(&loaded, launch, host, told.clone()).unwrap();
    let stop = CancellationToken::new();
    // What stood there at the start was told by whoever started the proxy.
    let swap = async {
        link("v2");
        heard.recv().await.unwrap();
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(reload.run(stop.clone()), swap);
    outcome.unwrap();
    assert_eq!(told.said(), ["+b", "file b", "-a"]);
}
