//! Whose a token is and what its owner may: the answers to `TokenReview` and `SubjectAccessReview`.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::route::Route;

/// What a user may get.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// A path that is no resource, such as `/metrics`; `*` at its end stands for anything.
    Path(String),
    /// A resource in a namespace.
    Resource {
        /// The API group.
        group: String,
        /// In the plural.
        resource: String,
        /// Where.
        namespace: String,
    },
}

/// Who is known, and with which rights.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    users: HashMap<String, String>,
    rights: HashMap<String, HashSet<Right>>,
}

/// Whether this is the collection of a review.
pub(super) fn is_review(route: &Route) -> bool {
    matches!(
        &*route.collection,
        "/apis/authentication.k8s.io/v1/tokenreviews"
            | "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    )
}

impl Subjects {
    pub(super) fn know(&mut self, token: &str, user: &str) {
        self.users.insert(token.to_owned(), user.to_owned());
    }

    pub(super) fn withdraw(&mut self, token: &str) {
        self.users.remove(token);
    }

    pub(super) fn allow(&mut self, user: &str, right: Right) {
        self.rights.entry(user.to_owned()).or_default().insert(right);
    }

    pub(super) fn deny(&mut self, user: &str) {
        self.rights.remove(user);
    }

    /// The review with its status, as the real server repeats it; `None` for what is none.
    pub(super) fn review(&self, resource: &str, review: &Value) -> Option<Value> {
        let spec = &review["spec"];
        let status = match resource {
            "tokenreviews" => self.owner(spec["token"].as_str()?),
            _ => json!({"allowed": self.allows(spec)?}),
        };
        let mut review = review.clone();
        review["status"] = status;
        Some(review)
    }

    fn owner(&self, token: &str) -> Value {
        match self.users.get(token) {
            Some(user) => json!({
                "authenticated": true,
                "user": {
                    "username": user, "uid": "1", "groups": ["system:authenticated"],
                    "extra": {"example.com/from": ["a test"]},
                },
                "audiences": ["https://kubernetes.default.svc"],
            }),
            None => json!({"user": {}, "error": "invalid bearer token"}),
        }
    }

    /// Only for users that are passed on with their groups and what else is known of them.
    fn allows(&self, spec: &Value) -> Option<bool> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let wanted = if spec["nonResourceAttributes"].is_object() {
            Right::Path(text(&spec["nonResourceAttributes"]["path"]))
        } else {
            let of = &spec["resourceAttributes"];
            let (group, resource) = (text(&of["group"]), text(&of["resource"]));
            Right::Resource { group, resource, namespace: text(&of["namespace"]) }
        };
        let verb = spec.pointer("/nonResourceAttributes/verb");
        let verb = verb.or_else(|| spec.pointer("/resourceAttributes/verb"))?;
        let rights = self.rights.get(spec["user"].as_str()?);
        let is_whole = spec["groups"][0] == "system:authenticated"
            && spec["extra"]["example.com/from"][0] == "a test";
        let has = rights.is_some_and(|rights| rights.iter().any(|right| covers(right, &wanted)));
        Some(verb == "get" && is_whole && has)
    }
}

fn covers(right: &Right, wanted: &Right) -> bool {
    match (right, wanted) {
        (Right::Path(right), Right::Path(wanted)) => match right.strip_suffix('*') {
            Some(start) => wanted.starts_with(start),
            None => right == wanted,
        },
        _ => right == wanted,
    }
}
