//! Messages as kubelets, containerd, CRI-O and Docker write them, and anything at all.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check_missing(message: &str, expected: Option<(Reason, &str)>) {
    let found = missing(message).map(|missing| (missing.reason, missing.sentence("shop")));
    assert_eq!(found, expected.map(|(reason, text)| (reason, text.to_owned())), "{message}");
}

#[test]
fn missing_objects_and_keys_are_named() {
    check_missing(
        "configmap \"app\" not found",
        Some((Reason::ConfigMapMissing, "ConfigMap shop/app does not exist")),
    );
    check_missing(
        "MountVolume.SetUp failed for volume \"tls\" : secret \"web-tls\" not found",
        Some((Reason::SecretMissing, "Secret shop/web-tls does not exist")),
    );
    check_missing(
        "couldn't find key password in Secret shop/db",
        Some((Reason::SecretMissing, "Secret shop/db has no key password")),
    );
    check_missing(
        "couldn't find key url in ConfigMap shop/app",
        Some((Reason::ConfigMapMissing, "ConfigMap shop/app has no key url")),
    );
    check_missing(
        "MountVolume.SetUp failed for volume \"c\" : references non-existent config key: a.yaml",
        Some((Reason::ConfigMapMissing, "its ConfigMap has no key a.yaml")),
    );
    check_missing("secret \"a\" is forbidden: no relationship found", None);
    check_missing("container has runAsNonRoot and image will run as root", None);
}

#[test]
fn images_and_why_they_cannot_be_pulled_are_told() {
    let cases = [
        (
            "rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/nope:1\": failed to resolve reference \"docker.io/library/nope:1\": docker.io/library/nope:1: not found",
            Some("docker.io/library/nope:1"),
            Some("the registry does not have it"),
        ),
        (
            "Failed to pull image \"shop/web:2\": rpc error: code = Unknown desc = Error response from daemon: pull access denied for shop/web, repository does not exist or may require 'docker login'",
            Some("shop/web:2"),
            Some("it is not there, or access is denied (see imagePullSecrets)"),
        ),
        (
            "failed to do request: Head \"https://registry.local/v2/a/manifests/1\": dial tcp: lookup registry.local: no such host",
            None,
            Some("the registry's name cannot be resolved"),
        ),
        ("Back-off pulling image \"nope:1\"", Some("nope:1"), None),
    ];
    for (message, name, cause) in cases {
        assert_eq!((image(message), pull_cause(message)), (name, cause), "{message}");
    }
}

#[test]
fn network_is_told_from_the_rest_of_a_sandbox() {
    assert!(is_network(
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"ab\": plugin type=\"calico\" failed (add): Unauthorized"
    ));
    assert!(is_network(
        "network: networkPlugin cni failed to set up pod \"web_shop\" network: open /run/flannel/subnet.env: no such file or directory"
    ));
    assert!(!is_network("no runtime for \"gvisor\" is configured"));
}

#[test]
fn volumes_are_named() {
    assert_eq!(volume("Multi-Attach error for volume \"pvc-1\" Volume is already"), Some("pvc-1"));
    let late = "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[data default-token]: timed out waiting for the condition";
    assert_eq!((volume(late), unmounted(late)), (None, Some("data")));
}

#[test]
fn brief_keeps_the_innermost_causes_and_drops_ids() {
    let id = "0123456789abcdef".repeat(4);
    let long = format!(
        "failed to set up sandbox container \"{id}\" network for pod \"web\": networkPlugin cni failed to set up pod \"web_shop\" network: open /run/flannel/subnet.env: no such file or directory"
    );
    assert_eq!(brief(&long), "open /run/flannel/subnet.env: no such file or directory");
    assert_eq!(
        brief(&format!("rpc error: code = Unknown desc = task {id} failed")),
        "task … failed"
    );
}

#[test]
fn brief_drops_what_may_be_a_credential() {
    let said = brief(
        "mount -o username=u,password=hunter2 failed: Get \"https://u:hunter2@host.local/x?X-Amz-Signature=hunter2\": EOF",
    );
    assert!(!said.contains("hunter2"), "{said}");
    assert!(said.contains("password=…") && said.contains("https://host.local:"), "{said}");
}

proptest! {
    #[test]
    fn no_message_makes_it_panic_and_all_is_bounded(text in any::<String>()) {
        let _ = (missing(&text), volume(&text), unmounted(&text), image(&text), pull_cause(&text), is_network(&text));
        prop_assert!(brief(&text).len() <= MAX_CAUSE);
    }

    #[test]
    fn words_of_messages_in_any_order_are_survived(
        parts in prop::collection::vec(prop::sample::select(vec![
            "configmap \"", "secret \"", "\" not found", "find key ", " in ", "ConfigMap ", "/", ": ", "desc = ", "://", "@", "=",
            "for volume \"", "image \"", "\"", "\\\"", "unmounted volumes=[", "]", "é", "0123456789abcdef", "password=",
        ]), 0..20),
    ) {
        let text = parts.concat();
        let _ = missing(&text).map(|missing| missing.sentence("shop"));
        prop_assert!(brief(&text).len() <= MAX_CAUSE);
    }

    #[test]
    fn value_of_a_password_is_never_in_what_is_left(value in "[a-zA-Z0-9]{6,20}", before in "[a-z ]{0,20}") {
        let said = brief(&format!("{before} password={value} failed"));
        let secret = format!("={value}");
        prop_assert!(!said.contains(&secret));
    }
}
