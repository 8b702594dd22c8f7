use std::sync::atomic::AtomicU64;

use super::*;
use crate::labels::LabelSet;
use crate::proxy::route::Condition;
use crate::proxy::service::{Port, Protocol};

fn registry(settings: Settings, awaited: &[Source]) -> Registry {
    let stats = Stats::new(&"node".into(), 1, 100, Arc::new(AtomicU64::new(0)));
    Registry::new(Arc::new(settings), stats, 1, awaited.iter().copied().collect())
}

fn key(namespace: &str, name: &str) -> ServiceKey {
    ServiceKey { namespace: namespace.into(), name: name.into(), port: Port::Number(80) }
}

fn route(source: Source, name: &str, service: &ServiceKey) -> Route {
    Route {
        origin: Origin { source, namespace: "shop".into(), name: name.into() },
        host: Host::Exact(format!("{name}.test").into()),
        path: Path::Prefix("/".into()),
        conditions: Vec::<Condition>::new(),
        action: Action::Forward(vec![(service.clone(), 1)]),
        rewrite: None,
        request: crate::proxy::route::Edits::default(),
        response: crate::proxy::route::Edits::default(),
        affinity: None,
        https_only: false,
        bounds: crate::proxy::route::Bounds::default(),
    }
}

fn endpoint(id: &str, state: State) -> Endpoint {
    let port = 8000 + u16::try_from(id.len()).unwrap();
    Endpoint {
        id: id.into(),
        address: ([10, 0, 0, 1], port).into(),
        state,
        node: Some("node".into()),
        zone: None,
        labels: Arc::new(LabelSet::default()),
    }
}

fn of(endpoints: &[Endpoint]) -> Service {
    Service { protocol: Protocol::Http1, tls: false, endpoints: endpoints.to_vec() }
}

/// The ids of the pods behind the first route's first service.
fn ready(registry: &Registry) -> Option<Vec<String>> {
    let live = registry.live();
    let pods = live.routes[0].services[0].pods.load_full()?;
    Some(pods.ready.iter().map(|pod| pod.key.id.to_string()).collect())
}

#[test]
fn a_service_may_be_told_before_or_after_the_routes_that_name_it() {
    for service_first in [true, false] {
        let registry = registry(Settings::default(), &[]);
        let web = key("", "web");
        let tell = || registry.service(&web, Some(of(&[endpoint("a", State::Ready)])));
        if service_first {
            tell();
        }
        assert!(registry.routes(Source::File, vec![route(Source::File, "a", &web)]).is_empty());
        if !service_first {
            assert_eq!(ready(&registry), None, "not known yet is not the same as none");
            tell();
        }
        assert_eq!(ready(&registry).unwrap(), ["a"]);
    }
}

#[test]
fn a_pod_stays_the_same_backend_through_any_change_but_its_own() {
    let registry = registry(Settings::default(), &[]);
    let web = key("shop", "web");
    registry.routes(Source::File, vec![route(Source::File, "a", &web)]);
    registry.service(&web, Some(of(&[endpoint("a", State::Ready)])));
    let first = registry.live().routes[0].services[0].pods.load_full().unwrap().ready[0].clone();

    registry.routes(
        Source::Ingress,
        vec![route(Source::Ingress, "b", &web), route(Source::Ingress, "c", &key("shop", "new"))],
    );
    let both = [endpoint("a", State::Terminating), endpoint("bb", State::Ready)];
    registry.service(&web, Some(of(&both)));
    let pods = registry.live().routes[0].services[0].pods.load_full().unwrap();
    assert!(Arc::ptr_eq(&pods.terminating[0], &first) && !first.is_gone());

    registry.service(&web, Some(of(&both[1..])));
    assert!(first.is_gone(), "connections to it are not kept");
    registry.service(&web, Some(of(&both)));
    assert!(!first.is_gone(), "it came back while a request was under way");
}

#[test]
fn what_one_source_says_never_touches_the_others() {
    let registry = registry(Settings::default(), &[Source::File, Source::Ingress]);
    let (web, api) = (key("shop", "web"), key("shop", "api"));
    registry.routes(Source::File, vec![route(Source::File, "a", &web)]);
    assert!(!registry.live().is_complete);
    registry.routes(Source::Ingress, vec![route(Source::Ingress, "b", &api)]);
    assert!(registry.live().is_complete);
    assert_eq!(*registry.wanted().borrow().clone(), BTreeSet::from([web.clone(), api]));

    let mut bad = route(Source::Ingress, "b", &web);
    bad.path = Path::Prefix("no-slash".into());
    let faults = registry.routes(Source::Ingress, vec![bad]);
    assert_eq!(faults.len(), 1);
    assert_eq!(registry.live().routes.len(), 1, "the file's route is still there");
    assert_eq!(*registry.wanted().borrow().clone(), BTreeSet::from([web]));
}

#[test]
fn pods_of_this_node_or_zone_are_near_where_they_are_preferred() {
    let (mut ours, mut theirs) = (endpoint("a", State::Ready), endpoint("bb", State::Ready));
    (ours.zone, theirs.zone) = (Some("z1".into()), Some("z2".into()));
    theirs.node = Some("other".into());
    for (prefer, near) in [(Prefer::None, 0), (Prefer::SameNode, 1), (Prefer::SameZone, 1)] {
        let registry =
            registry(Settings { prefer, node: "node".into(), ..Settings::default() }, &[]);
        let web = key("shop", "web");
        registry.routes(Source::File, vec![route(Source::File, "a", &web)]);
        registry.service(&web, Some(of(&[ours.clone(), theirs.clone()])));
        let pods = registry.live().routes[0].services[0].pods.load_full().unwrap();
        assert_eq!((pods.near.len(), pods.ready.len()), (near, 2), "{prefer:?}");
    }
}

#[test]
fn a_zone_that_is_learnt_late_counts_for_what_was_told_before_and_is_not_forgotten() {
    let settings =
        Settings { prefer: Prefer::SameZone, node: "node".into(), ..Settings::default() };
    let registry = registry(settings, &[]);
    let (web, other) = (key("shop", "web"), key("shop", "other"));
    let routes = [&web, &other].map(|key| route(Source::File, &key.name, key));
    registry.routes(Source::File, routes.to_vec());
    let (mut ours, mut theirs) = (endpoint("a", State::Ready), endpoint("bb", State::Ready));
    (ours.zone, theirs.zone) = (Some("z1".into()), Some("z1".into()));
    theirs.node = Some("other".into());
    let near = || {
        let live = registry.live();
        live.routes[0].services[0].pods.load_full().unwrap().near.len()
    };
    registry.service(&web, Some(of(&[theirs])));
    assert_eq!(near(), 0, "no pod of this node has told its zone");
    registry.service(&other, Some(of(&[ours.clone()])));
    assert_eq!(near(), 1);
    ours.zone = None;
    registry.service(&other, Some(of(&[ours, endpoint("ccc", State::Ready)])));
    registry.routes(Source::File, routes.to_vec());
    let Some(told) = registry.lock().told.get(&web).cloned() else { panic!("it was told") };
    registry.service(&web, Some(told));
    assert_eq!(near(), 1);
}

#[test]
fn a_service_that_was_not_wanted_for_a_moment_has_its_pods_when_they_are_told_again() {
    let registry = registry(Settings::default(), &[]);
    let web = key("shop", "web");
    let mut wanted = registry.wanted();
    registry.routes(Source::File, vec![route(Source::File, "a", &web)]);
    registry.service(&web, Some(of(&[endpoint("a", State::Ready)])));
    wanted.mark_unchanged();
    registry.routes(Source::File, vec![]);
    registry.routes(Source::Ingress, vec![route(Source::Ingress, "b", &web)]);
    assert_eq!(ready(&registry), None);
    assert!(wanted.has_changed().unwrap(), "so that whoever told it does so again");
    registry.service(&web, Some(of(&[endpoint("a", State::Ready)])));
    assert_eq!(ready(&registry).unwrap(), ["a"]);
}

#[test]
fn a_route_that_the_file_shadows_is_told_of_and_no_more_once_it_is_free() {
    let registry = registry(Settings::default(), &[]);
    let web = key("shop", "web");
    let mut refused = registry.refused();
    registry.routes(Source::Ingress, vec![route(Source::Ingress, "a", &web)]);
    assert!(!refused.has_changed().unwrap());
    let faults = registry.routes(Source::File, vec![route(Source::File, "a", &web)]);
    assert_eq!(faults, [], "it is not the file's");
    let reasons = |faults: &[Fault]| faults.iter().map(|fault| fault.reason).collect::<Vec<_>>();
    assert_eq!(reasons(&refused.borrow_and_update()), ["duplicate"]);
    registry.routes(Source::File, vec![]);
    assert_eq!(reasons(&refused.borrow_and_update()), [""; 0]);
}

#[test]
fn configured_hosts_are_counted_where_no_path_matches() {
    let registry = registry(Settings::default(), &[]);
    let mut wild = route(Source::File, "w", &key("", "web"));
    wild.host = Host::Wildcard("example.test".into());
    registry.routes(Source::File, vec![route(Source::File, "a", &key("", "web")), wild]);
    let live = registry.live();
    assert!(live.host("a.test").is_some() && live.host("x.example.test").is_some());
    assert!(live.host("other.test").is_none());
}
