//! How a missing right is told: what is lost without it, and the rule that grants it.

use collector::api::rights::Need;

/// What is lost, in the words of `deploy/README.md`.
pub(super) fn lost(need: Need) -> String {
    format!("lost without it: {}", need.rule().lost)
}

/// The rule that gives the right, in the role that has it in `deploy/manifests`.
pub(super) fn grant(need: Need) -> String {
    let rule = need.rule();
    format!(
        "bind the agent's service account (or the kubeconfig's user) to the ClusterRole podmeter{}, with
rules:
  - apiGroups: [\"{}\"]
    resources: [{}]
    verbs: [{}]",
        rule.role.suffix(),
        rule.group,
        rule.resource,
        rule.verbs.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::PathBuf;

    use collector::api::health::Feed;
    use collector::api::rights::{Role, Rule};
    use collector::diagnose::access::Resource;
    use serde_json::Value;

    use super::*;

    type Rights = BTreeMap<String, BTreeSet<[String; 3]>>;

    fn deploy(name: &str) -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy")).join(name)
    }

    fn each([groups, resources, verbs]: [&[&str]; 3]) -> impl Iterator<Item = [String; 3]> {
        groups.iter().flat_map(move |group| {
            resources.iter().flat_map(move |resource| {
                verbs.iter().map(move |verb| [*group, *resource, *verb].map(str::to_owned))
            })
        })
    }

    /// What the manifests grant, by role.
    fn granted() -> Rights {
        let mut found = Rights::new();
        for file in fs::read_dir(deploy("manifests")).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
            for role in objects.iter().filter(|it| it["kind"] == "ClusterRole") {
                let name = role["metadata"]["name"].as_str().unwrap();
                let rights = found.entry(name.to_owned()).or_default();
                for rule in role["rules"].as_array().unwrap() {
                    let words = |field: &str| -> Vec<&str> {
                        let words = rule[field].as_array().into_iter().flatten();
                        words.map(|word| word.as_str().unwrap()).collect()
                    };
                    let [groups, resources, verbs] = ["apiGroups", "resources", "verbs"].map(words);
                    rights.extend(each([&groups, &resources, &verbs]));
                }
            }
        }
        found
    }

    #[test]
    fn manifests_grant_what_the_program_asks_for_and_nothing_else() {
        let mut asked: Rights =
            Role::ALL.map(|role| (format!("podmeter{}", role.suffix()), BTreeSet::new())).into();
        // The one right that depends on a setting of the configuration, as the page says.
        for need in Need::all().filter(|need| *need != Need::Feed(Feed::Namespaces)) {
            let Rule { role, group, resource, verbs, .. } = need.rule();
            let rights = asked.get_mut(&format!("podmeter{}", role.suffix())).unwrap();
            rights.extend(each([&[group], &[resource], verbs]));
        }
        let mut granted = granted();
        // Bound to those who read Podmeter, not to itself.
        assert!(granted.remove("podmeter-metrics-reader").is_some());
        assert_eq!(granted, asked);
    }

    #[test]
    fn what_is_lost_is_told_in_the_words_of_the_deployment_page() {
        let page = fs::read_to_string(deploy("README.md")).unwrap();
        for need in Need::all() {
            let Rule { resource, verbs, lost, .. } = need.rule();
            let row = page
                .lines()
                .filter(|line| line.starts_with(&format!("| {resource}: {}", verbs.join(", "))))
                .any(|row| row.ends_with(&format!("| {lost} |")));
            assert!(row, "{need:?}: {lost}");
        }
    }

    #[test]
    fn the_rule_that_is_named_is_the_one_that_is_missing() {
        let text = grant(Need::Stuck(Resource::Attachments));
        assert!(text.contains("the ClusterRole podmeter-diagnose"), "{text}");
        assert!(text.ends_with(
            "- apiGroups: [\"storage.k8s.io\"]\n    resources: [volumeattachments]\n    verbs: [list]"
        ));
    }
}
