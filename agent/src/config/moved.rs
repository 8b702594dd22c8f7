//! Keys that got another name. The old one is still taken for one minor version, with a warning.

use std::fmt;

use serde_json::{Map, Value};

use super::Faults;

/// A key that got another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its dotted path before.
    pub old: &'static str,
    /// Its dotted path now.
    pub new: &'static str,
    /// The first version, major and minor, that does not know the old one. A test fails in that version while
    /// the entry is still here.
    pub until: (u32, u32),
}

/// Every key that is taken under two names; docs/configuration.md tells the same.
pub const MOVED: &[Moved] =
    &[Moved { old: "kubernetes.namespace_labels", new: "labels.namespace", until: (0, 2) }];

impl Moved {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        let Self { old, new, until: (major, minor) } = self;
        format!("rename {old} to {new}; from {major}.{minor} on the old name is refused")
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is called {} now and still taken", self.old, self.new)
    }
}

/// Puts what stands under old names under the new ones, and says which of them were there.
pub(super) fn rename(file: &mut Value, faults: &mut Faults) -> Vec<Moved> {
    let mut found = Vec::new();
    for moved in MOVED {
        let Some(value) = take(file, moved.old) else { continue };
        if get(file, moved.new).is_some_and(|value| !value.is_null()) {
            faults.add(
                moved.old,
                format_args!("stands beside {}, its new name; remove the old one", moved.new),
            );
            continue;
        }
        put(file, moved.new, value);
        found.push(*moved);
    }
    found
}

fn get<'a>(file: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(file, |at, key| at.get(key))
}

/// Takes the key out; the mapping around it stays.
fn take(file: &mut Value, path: &str) -> Option<Value> {
    let (around, key) = path.rsplit_once('.').map_or(("", path), |split| split);
    let mut keys = around.split('.').filter(|key| !key.is_empty());
    let around = keys.try_fold(file, |at, key| at.get_mut(key))?;
    around.as_object_mut()?.remove(key)
}

/// Puts it there if what is around is a mapping or nothing; anything else is a fault that is told when it is read.
fn put(file: &mut Value, path: &str, value: Value) {
    let mut at = file;
    for key in path.split('.') {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let Some(values) = at.as_object_mut() else { return };
        at = values.entry(key).or_insert(Value::Null);
    }
    *at = value;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn renamed(mut file: Value) -> (Value, Vec<&'static str>, Vec<String>) {
        let mut faults = Faults::default();
        let found = rename(&mut file, &mut faults);
        let old = found.iter().map(|moved| moved.old).collect();
        (file, old, faults.lines().map(str::to_owned).collect())
    }

    #[test]
    fn what_stands_under_the_old_name_stands_under_the_new_one() {
        let before = json!({"kubernetes": {"namespace_labels": ["team"], "kubeconfig": "/k"}});
        let after = json!({"kubernetes": {"kubeconfig": "/k"}, "labels": {"namespace": ["team"]}});
        assert_eq!(renamed(before), (after.clone(), vec!["kubernetes.namespace_labels"], vec![]));
        assert_eq!(renamed(after.clone()), (after, vec![], vec![]));
        let empty = json!({"labels": null, "kubernetes": {"namespace_labels": ["team"]}});
        assert_eq!(renamed(empty).0["labels"]["namespace"], json!(["team"]));
    }

    #[test]
    fn both_names_at_once_are_a_fault_that_names_both() {
        let both = json!({"kubernetes": {"namespace_labels": []}, "labels": {"namespace": ["a"]}});
        let (file, found, faults) = renamed(both);
        assert_eq!(file["labels"]["namespace"], json!(["a"]));
        assert!(found.is_empty());
        assert_eq!(
            faults,
            [
                "kubernetes.namespace_labels: stands beside labels.namespace, its new name; remove the old one"
            ]
        );
    }

    #[test]
    fn files_of_another_shape_are_left_to_whoever_reads_them() {
        for file in [json!(null), json!([1]), json!("a"), json!({"kubernetes": [1]})] {
            assert_eq!(renamed(file.clone()), (file, vec![], vec![]));
        }
        let odd = json!({"kubernetes": {"namespace_labels": ["a"]}, "labels": "text"});
        assert_eq!(renamed(odd).0, json!({"kubernetes": {}, "labels": "text"}));
    }

    #[test]
    fn no_name_is_taken_for_longer_than_was_said() {
        let mut version = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse().unwrap());
        let now: (u32, u32) = (version.next().unwrap(), version.next().unwrap());
        for moved in MOVED {
            assert!(now < moved.until, "take {} out of MOVED and of the docs", moved.old);
        }
    }

    #[test]
    fn docs_page_tells_every_old_name_and_its_end() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, section) = page.split_once("\n## Keys that got another name\n").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let told: Vec<&str> = section.lines().filter(|line| line.starts_with("- ")).collect();
        let line = |Moved { old, new, until: (major, minor) }: &Moved| {
            format!("- `{old}` is now `{new}`; refused from {major}.{minor} on.")
        };
        assert_eq!(told, MOVED.iter().map(line).collect::<Vec<_>>());
    }
}
