//! Which labels go, under which names, and that the bounds hold whatever comes.

use proptest::prelude::*;

use super::*;

fn map(entries: &[(&str, &str)]) -> Map {
    Map {
        entries: entries.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        more: 0,
    }
}

fn filter(include: &[&str], exclude: &[&str]) -> Filter {
    let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    Filter { include: owned(include), exclude: owned(exclude) }
}

fn names(
    settings: &Settings,
    labels: &[(&str, &str)],
    annotations: &[(&str, &str)],
) -> Vec<String> {
    let (labels, _) = Rules::new(settings).unwrap().pod(&map(labels), &map(annotations));
    labels.iter().map(|label| label.name.to_string()).collect()
}

#[test]
fn all_labels_go_but_the_hashes() {
    let labels = [
        ("app.kubernetes.io/name", "web"),
        ("pod-template-hash", "7d4b9c"),
        ("controller-revision-hash", "x"),
        ("controller-uid", "x"),
        ("pod-template-generation", "1"),
        ("batch.kubernetes.io/job-name", "x"),
        ("statefulset.kubernetes.io/pod-name", "db-0"),
        ("apps.kubernetes.io/pod-index", "0"),
        ("team", ""),
    ];
    assert_eq!(
        names(&Settings::default(), &labels, &[]),
        ["label_app_kubernetes_io_name", "label_team"]
    );
}

#[test]
fn annotations_go_when_people_wrote_them_and_they_are_short() {
    let long = "x".repeat(64);
    let annotations = [("owner", "jo"), ("note", long.as_str()), ("example.com/x", "y")];
    assert_eq!(names(&Settings::default(), &[], &annotations), ["annotation_owner"]);
    let asked =
        Settings { annotations: filter(&["example.com/*", "note"], &[]), ..Settings::default() };
    assert_eq!(
        names(&asked, &[], &annotations),
        ["annotation_example_com_x", "annotation_note", "annotation_owner"]
    );
}

#[test]
fn include_beats_the_defaults_and_the_more_specific_pattern_beats_the_other() {
    let labels = [
        ("app", "web"),
        ("team", "cash"),
        ("pod-template-hash", "x"),
        ("example.com/a", "1"),
        ("example.com/secret", "2"),
    ];
    let with = |include: &[&str], exclude: &[&str]| {
        names(&Settings { labels: filter(include, exclude), ..Settings::default() }, &labels, &[])
    };
    assert!(with(&["pod-template-hash"], &[]).contains(&"label_pod_template_hash".to_owned()));
    assert_eq!(with(&["app"], &["*"]), ["label_app"]);
    assert_eq!(with(&["example.com/*"], &["*", "example.com/secret"]), ["label_example_com_a"]);
    assert!(!with(&["app"], &["app"]).contains(&"label_app".to_owned()), "the exclude wins a tie");
}

#[test]
fn names_are_made_as_kube_state_metrics_makes_them() {
    for (key, expected) in [
        ("app.kubernetes.io/name", "app_kubernetes_io_name"),
        ("camelCase", "camel_case"),
        ("HTTPServer", "httpserver"),
        ("a1B", "a1_b"),
        ("ÄB", "_b"),
        ("", ""),
    ] {
        assert_eq!(sanitised(key), expected, "{key:?}");
    }
}

#[test]
fn written_labels_are_named_as_a_pods_and_none_is_left_out() {
    let labels = written([("pod-template-hash", "x"), ("a.b", "1"), ("a-b", "2")]);
    let pairs: Vec<_> = labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    let expected = [
        ("label_a_b_conflict1", "2"),
        ("label_a_b_conflict2", "1"),
        ("label_pod_template_hash", "x"),
    ];
    assert_eq!(pairs, expected);
    assert!(labels.iter().all(|label| label.origin == Origin::PodLabel));
}

#[test]
fn colliding_names_are_all_numbered_in_key_order() {
    let labels = [("a.b", "3"), ("a-b", "2"), ("a/b", "1"), ("c", "4")];
    let (labels, _) = Rules::new(&Settings::default()).unwrap().pod(&map(&labels), &Map::default());
    let pairs: Vec<_> = labels.iter().map(|label| (&*label.key, &*label.name)).collect();
    assert_eq!(
        pairs,
        [
            ("a-b", "label_a_b_conflict1"),
            ("a.b", "label_a_b_conflict2"),
            ("a/b", "label_a_b_conflict3"),
            ("c", "label_c")
        ]
    );
}

#[test]
fn number_that_another_key_has_already_is_passed_over() {
    let labels = [("a.b", "1"), ("a-b", "2"), ("a_b_conflict1", "3")];
    assert_eq!(
        names(&Settings::default(), &labels, &[]),
        ["label_a_b_conflict1", "label_a_b_conflict2", "label_a_b_conflict3"]
    );
}

#[test]
fn bounds_keep_what_was_asked_for_and_count_the_rest() {
    let keys: Vec<String> = (0..500).map(|number| format!("key{number:03}")).collect();
    let long = "é".repeat(100);
    let labels: Vec<_> = keys.iter().map(|key| (key.as_str(), long.as_str())).collect();
    let settings = Settings { labels: filter(&["key499"], &[]), ..Settings::default() };
    let (labels, cut) = Rules::new(&settings).unwrap().pod(&map(&labels), &map(&[("note", "x")]));
    assert_eq!((labels.len(), cut), (24, Cut { count: 477, length: 24 }));
    assert!(labels.iter().any(|label| &*label.key == "key499"), "what is asked for by name stays");
    assert!(labels.iter().all(|label| label.value.len() == 128));
}

#[test]
fn namespaces_give_nothing_unless_asked() {
    let labels = map(&[("team", "cash"), ("other", "x")]);
    let none = Rules::new(&Settings::default()).unwrap();
    assert!(!none.wants_namespaces() && none.namespace(&labels).is_empty());
    let some =
        Rules::new(&Settings { namespace_labels: filter(&["team"], &[]), ..Settings::default() })
            .unwrap();
    assert!(some.wants_namespaces());
    assert_eq!(&*some.namespace(&labels)[0].name, "namespace_label_team");
}

#[test]
fn every_bad_pattern_is_reported_at_once() {
    let settings = Settings {
        labels: filter(&["a[", "ok"], &["{"]),
        annotations: filter(&["["], &[]),
        ..Settings::default()
    };
    let faults = Rules::new(&settings).unwrap_err();
    let lists: Vec<_> = faults.iter().map(|fault| fault.list).collect();
    assert_eq!(lists, ["labels.include", "labels.exclude", "annotations.include"]);
}

#[test]
fn include_that_no_pod_has_is_told() {
    let settings = Settings { labels: filter(&["app", "tema"], &[]), ..Settings::default() };
    let rules = Rules::new(&settings).unwrap();
    let mut pod = crate::pods::model::Pod::bare(
        crate::cgroup::PodUid::Uid(1),
        "shop".into(),
        "web".into(),
        crate::pods::model::Workload::default(),
    );
    pod.labels = rules.pod(&map(&[("app", "web")]), &Map::default()).0;
    let mut index = Index::default();
    index.insert(Arc::new(pod));
    assert_eq!(
        rules.never_matched(&index),
        [NeverMatched { list: "labels.include", pattern: "tema".to_owned() }]
    );
}

proptest! {
    #[test]
    fn names_are_valid_unique_and_sorted(keys in proptest::collection::hash_map("[a-zA-Z0-9._/é-]{0,12}", ".{0,200}", 0..60)) {
        let entries: Vec<_> = keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let (labels, cut) = Rules::new(&Settings::default()).unwrap().pod(&map(&entries), &map(&entries));
        prop_assert!(labels.len() <= 24 && cut.length <= 24);
        prop_assert!(labels.windows(2).all(|pair| pair[0].name < pair[1].name));
        for label in &labels {
            prop_assert!(label.name.starts_with("label_") || label.name.starts_with("annotation_"));
            prop_assert!(label.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
            prop_assert!(label.value.len() <= 128);
        }
    }
}
