//! Names and causes in the messages of a kubelet and of container runtimes.
//!
//! Messages are nobody's interface: what is not recognised is shortened and handed on, never guessed at. What
//! may hold a credential (an address' user and query, `password=…`) is taken out, and so are ids that change with
//! every try, since each would begin a new series.

#[cfg(test)]
mod tests;

use super::reason::Reason;

/// A run of hexadecimal digits from this length on is an id, not a word.
const ID: usize = 12;
/// Bytes of a cause within a detail.
const MAX_CAUSE: usize = 110;
/// Keys whose values are taken out.
const SECRETS: [&str; 7] = ["pass", "secret", "token", "key", "sig", "cred", "auth"];

/// A `ConfigMap` or a Secret, or a key of one, that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missing<'a> {
    pub(super) reason: Reason,
    /// Empty where the message does not name it.
    pub(super) object: &'a str,
    /// The key that it lacks, if it is there itself.
    pub(super) key: Option<&'a str>,
}

/// What a message says is missing.
pub(super) fn missing(message: &str) -> Option<Missing<'_>> {
    let whole = |reason, object| Missing { reason, object, key: None };
    for (reason, starts) in [
        (Reason::ConfigMapMissing, ["configmap \"", "configmaps \""]),
        (Reason::SecretMissing, ["secret \"", "secrets \""]),
    ] {
        for start in starts {
            if let Some((object, rest)) = quoted(message, start)
                && rest.starts_with(" not found")
            {
                return Some(whole(reason, object));
            }
        }
    }
    lacks_key(message)
}

/// `couldn't find key K in ConfigMap NS/NAME` for a variable, `references non-existent config key: K` for a volume.
fn lacks_key(message: &str) -> Option<Missing<'_>> {
    if let Some((_, rest)) = message.split_once("find key ") {
        let (key, rest) = rest.split_once(" in ")?;
        let (kind, rest) = rest.split_once(' ')?;
        let reason = match kind {
            "ConfigMap" => Reason::ConfigMapMissing,
            "Secret" => Reason::SecretMissing,
            _ => return None,
        };
        let object = word(rest.split_once('/').map_or(rest, |(_, name)| name));
        return Some(Missing { reason, object, key: Some(word(key)) });
    }
    for (reason, start) in [
        (Reason::ConfigMapMissing, "references non-existent config key: "),
        (Reason::SecretMissing, "references non-existent secret key: "),
    ] {
        if let Some((_, rest)) = message.split_once(start) {
            return Some(Missing { reason, object: "", key: Some(word(rest)) });
        }
    }
    None
}

impl Missing<'_> {
    /// The sentence, for an object of `namespace`.
    pub(super) fn sentence(&self, namespace: &str) -> String {
        let kind = if self.reason == Reason::SecretMissing { "Secret" } else { "ConfigMap" };
        match (self.object, self.key) {
            ("", Some(key)) => format!("its {kind} has no key {key}"),
            (object, Some(key)) => format!("{kind} {namespace}/{object} has no key {key}"),
            (object, None) => format!("{kind} {namespace}/{object} does not exist"),
        }
    }
}

/// The name of the volume that a message is about.
pub(super) fn volume(message: &str) -> Option<&str> {
    let (name, _) = quoted(message, "for volume \"")?;
    (!name.is_empty()).then_some(name)
}

/// The names in `unmounted volumes=[data logs]`.
pub(super) fn unmounted(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("unmounted volumes=[")?;
    let (names, _) = rest.split_once(']')?;
    (!names.is_empty()).then_some(names)
}

/// The image that a message names.
pub(super) fn image(message: &str) -> Option<&str> {
    let (name, _) = quoted(message, "image \"")?;
    (!name.is_empty()).then_some(name)
}

/// Why an image cannot be pulled, in our words: those of registries change from try to try and may hold signed
/// addresses.
pub(super) fn pull_cause(message: &str) -> Option<&'static str> {
    const CAUSES: &[(&[&str], &str)] = &[
        (
            &["toomanyrequests", "too many requests", "rate limit"],
            "the registry limits how often it is asked",
        ),
        (&["no space left"], "no space is left on the node"),
        (
            &["no match for platform", "no matching manifest"],
            "there is none for this node's platform",
        ),
        (&["no such host", "server misbehaving"], "the registry's name cannot be resolved"),
        (&["x509", "certificate", "tls:"], "the registry's certificate is not trusted"),
        (
            &[
                "connection refused",
                "no route to host",
                "network is unreachable",
                "connection reset",
            ],
            "the registry cannot be reached",
        ),
        (&["timeout", "deadline exceeded", "timed out"], "the registry does not answer in time"),
        (
            &[
                "pull access denied",
                "unauthorized",
                "authentication required",
                "forbidden",
                "insufficient_scope",
                "access denied",
                "no basic auth",
            ],
            "it is not there, or access is denied (see imagePullSecrets)",
        ),
        (
            &["not found", "manifest unknown", "name unknown", "does not exist"],
            "the registry does not have it",
        ),
    ];
    let lower = message.to_lowercase();
    CAUSES
        .iter()
        .find(|(words, _)| words.iter().any(|word| lower.contains(word)))
        .map(|(_, cause)| *cause)
}

/// Whether a message about a sandbox is about its network.
pub(super) fn is_network(message: &str) -> bool {
    let lower = message.to_lowercase();
    [
        "cni",
        "setup network",
        "set up pod",
        "network is not ready",
        "network plugin",
        "networkplugin",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

/// A message, scrubbed and short enough for a detail: from a chain of causes the last ones, which are the
/// innermost.
pub(super) fn brief(message: &str) -> String {
    let message = message.rsplit_once("desc = ").map_or(message, |(_, rest)| rest);
    let words: Vec<String> = message.split_whitespace().map(scrubbed).collect();
    let line = words.join(" ");
    if line.len() <= MAX_CAUSE {
        return line;
    }
    let mut start = line.len();
    for (at, _) in line.rmatch_indices(": ") {
        if line.len() - (at + 2) > MAX_CAUSE {
            break;
        }
        start = at + 2;
    }
    if start == line.len() {
        // The innermost cause alone is too long.
        start = line.rfind(": ").map_or(0, |at| at + 2);
    }
    crate::labels::cut(&line[start..], MAX_CAUSE).to_owned()
}

/// A word without what may be secret or changes with every try.
fn scrubbed(word: &str) -> String {
    let word = match word.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find(['/', '?', '#', '"', '\'', ',', ')']).unwrap_or(rest.len());
            let host = &rest[..end];
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            let scheme = scheme.trim_start_matches(['"', '\'']);
            format!("{scheme}://{host}{}", if word.ends_with(':') { ":" } else { "" })
        }
        None => word.to_owned(),
    };
    without_ids(&without_secrets(&word))
}

/// `user=u,password=p` as `user=u,password=…`.
fn without_secrets(word: &str) -> String {
    let part = |part: &str| match part.split_once('=') {
        Some((key, value)) if !value.is_empty() => {
            let lower = key.to_lowercase();
            let is_secret = SECRETS.iter().any(|secret| lower.contains(secret));
            if is_secret { format!("{key}=…") } else { part.to_owned() }
        }
        _ => part.to_owned(),
    };
    word.split(',').map(part).collect::<Vec<_>>().join(",")
}

/// Runs of hexadecimal digits, such as a sandbox's id, as `…`.
fn without_ids(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    let mut rest = word;
    while !rest.is_empty() {
        let run = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        text.push_str(if run >= ID { "…" } else { &rest[..run] });
        rest = &rest[run..];
        let other = rest.find(|c: char| c.is_ascii_hexdigit()).unwrap_or(rest.len());
        text.push_str(&rest[..other]);
        rest = &rest[other..];
    }
    text
}

/// What stands between `start`, which ends with a quotation mark, and the next one, and what follows.
fn quoted<'a>(message: &'a str, start: &str) -> Option<(&'a str, &'a str)> {
    let (_, rest) = message.split_once(start)?;
    // Quotation marks within quoted text are escaped.
    let end = rest.find(['"', '\\'])?;
    Some((&rest[..end], rest[end..].trim_start_matches(['\\', '"'])))
}

fn word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}
