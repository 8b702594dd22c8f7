//! Accounts that read, or try to.

use serde_json::Value;

use crate::install::release::Release;

/// An account without any right, and a token of its.
pub(crate) fn stranger(release: &Release<'_>, name: &str) -> String {
    release.kubectl(&["create", "serviceaccount", name]);
    token(release, name)
}

/// An account that may read, by a binding of its own name, and a token of its.
pub(crate) fn reader(release: &Release<'_>, name: &str) -> String {
    let token = stranger(release, name);
    let role = format!("--role={}", role(release));
    let subject = format!("--serviceaccount={}:{name}", release.name);
    release.kubectl(&["create", "rolebinding", name, &role, &subject]);
    token
}

/// The role of readers: a chart's objects end with what they are, a kustomization's with its suffix.
fn role(release: &Release<'_>) -> String {
    let roles = release.kubectl(&["get", "roles", "-o", "name"]);
    let mut roles = roles.lines().filter(|role| role.contains("-metrics-reader"));
    let role = roles.next().expect("a role of readers");
    role.rsplit('/').next().unwrap_or(role).to_owned()
}

/// As `kubectl create token` asks for one, which kubectl 1.20 does not know.
fn token(release: &Release<'_>, account: &str) -> String {
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/{account}/token", release.name);
    let request = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}"#;
    let answer = release
        .tool()
        .feed_kubectl(&["create", "--raw", &path, "-f", "-"], request)
        .unwrap_or_else(|error| panic!("no token of {account}: {error}"));
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    answer["status"]["token"].as_str().expect("a token").to_owned()
}
