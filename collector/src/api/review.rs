//! Who a bearer token belongs to and what its owner may: `TokenReview` and `SubjectAccessReview`.
//!
//! Nothing is remembered here, and nothing of a token is in an error: what a failure says are our words or those of
//! the network layers. An answer that is not understood is a failure, never a yes.

use http::{Request, header};
use kube::Client;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::Access;
use super::feed::{Fault, exchange};
use super::health::Failure;

/// A token that no cluster has, to try whether reviews are answered.
const NOBODYS: &str = "podmeter-check";

/// A kind of review, which is one right: to create it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// Whose token it is.
    Token,
    /// What somebody may.
    SubjectAccess,
}

impl Review {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Token, Self::SubjectAccess];

    /// As RBAC calls it.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Token => "tokenreviews",
            Self::SubjectAccess => "subjectaccessreviews",
        }
    }

    /// The API group.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Token => "authentication.k8s.io",
            Self::SubjectAccess => "authorization.k8s.io",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Token => "TokenReview",
            Self::SubjectAccess => "SubjectAccessReview",
        }
    }
}

/// The owner of a token, as the API server knows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct User {
    /// Such as `system:serviceaccount:monitoring:prometheus`.
    #[serde(rename(serialize = "user"))]
    pub username: String,
    uid: String,
    groups: Option<Vec<String>>,
    extra: Option<serde_json::Map<String, Value>>,
}

/// What somebody wants; the verb is always `get`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// A path that is no resource of the API, such as `/metrics`.
    Path(&'a str),
    /// A resource of this group in this namespace.
    Resource {
        /// The API group.
        group: &'a str,
        /// In the plural.
        resource: &'a str,
        /// Where.
        namespace: &'a str,
    },
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Trouble {
    /// What kind of failure it is.
    pub kind: Failure,
    sentence: String,
}

impl Trouble {
    /// Nothing came in time, which the caller measured.
    #[must_use]
    pub fn late(review: Review) -> Self {
        Self::of(review, &Fault::new(Failure::Unreachable, "no answer in time"))
    }

    /// It was not asked, since too many other questions were before. No outage: whoever asks much could bring that
    /// about.
    #[must_use]
    pub fn crowded() -> Self {
        let sentence = "too many reviews of tokens are under way; look for who sends bad ones";
        Self { kind: Failure::Other, sentence: sentence.to_owned() }
    }

    /// Whether the API server is away, in contrast to one that answers and will not do it.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        use Failure::{ServerError, Throttled, Tls, Unreachable};
        matches!(self.kind, Unreachable | Throttled | ServerError | Tls)
    }

    fn of(review: Review, fault: &Fault) -> Self {
        let (what, cause) = (review.resource(), &fault.cause);
        let sentence = match fault.kind {
            Failure::Forbidden => format!(
                "the API server refuses Podmeter to create {what} ({cause}): bind its service account to the ClusterRole podmeter-access"
            ),
            Failure::Unauthorized => format!(
                "the API server does not accept Podmeter's own credentials for {what} ({cause}): check its service account and its token"
            ),
            Failure::Decode => format!(
                "the API server's answer on {what} is not understood: {cause}; look for a proxy in between"
            ),
            Failure::Throttled | Failure::ServerError => {
                format!("the API server does not answer {what} now ({cause}): look at its own log")
            }
            Failure::Gone | Failure::Other => format!(
                "the API server does not serve {what} ({cause}): check the address and the path in front of it"
            ),
            Failure::Unreachable | Failure::Tls => format!(
                "cannot reach the API server for {what}: {cause}; check the network path, NetworkPolicies and the server itself"
            ),
        };
        Self { kind: fault.kind, sentence }
    }
}

/// Whose token this is; `None` when the API server does not know it. For the API server's own audience.
///
/// # Errors
/// When there is no answer that is understood.
pub async fn token(client: &Client, token: &str) -> Result<Option<User>, Trouble> {
    #[derive(Default, Deserialize)]
    struct Status {
        #[serde(default)]
        authenticated: bool,
        #[serde(default)]
        user: User,
    }
    let status: Status = ask(client, Review::Token, &json!({"token": token})).await?;
    // Somebody without a name would be judged by the groups alone; no authenticator makes one.
    Ok(Some(status.user).filter(|user| status.authenticated && !user.username.is_empty()))
}

/// Whether the user may have that.
///
/// # Errors
/// When there is no answer that is understood.
pub async fn allows(client: &Client, user: &User, wanted: Wanted<'_>) -> Result<bool, Trouble> {
    #[derive(Deserialize)]
    struct Status {
        allowed: bool,
        #[serde(default)]
        denied: bool,
    }
    const REVIEW: Review = Review::SubjectAccess;
    let mut spec = serde_json::to_value(user).map_err(|_| unwritten(REVIEW))?;
    match wanted {
        Wanted::Path(path) => {
            spec["nonResourceAttributes"] = json!({"path": path, "verb": "get"});
        }
        Wanted::Resource { group, resource, namespace } => {
            spec["resourceAttributes"] = json!({
                "group": group, "resource": resource, "namespace": namespace, "verb": "get"
            });
        }
    }
    let status: Status = ask(client, REVIEW, &spec).await?;
    Ok(status.allowed && !status.denied)
}

/// Tries each kind of review, with a token and a user that no cluster has.
pub async fn rights(client: &Client) -> Vec<(Review, Access)> {
    let nobody = User { username: NOBODYS.to_owned(), ..User::default() };
    let tried = [
        token(client, NOBODYS).await.map(drop),
        allows(client, &nobody, Wanted::Path("/metrics")).await.map(drop),
    ];
    let access = |tried: Result<(), Trouble>| match tried {
        Ok(()) => Access::Allowed,
        Err(trouble) => match trouble.kind {
            Failure::Forbidden => Access::Denied(trouble.sentence),
            _ => Access::Unknown(trouble.sentence),
        },
    };
    Review::ALL.into_iter().zip(tried.map(access)).collect()
}

/// The status of the review of this spec.
async fn ask<T: DeserializeOwned>(
    client: &Client,
    review: Review,
    spec: &Value,
) -> Result<T, Trouble> {
    #[derive(Deserialize)]
    struct Answer<T> {
        status: T,
    }
    let (group, resource) = (review.group(), review.resource());
    let body = json!({"apiVersion": format!("{group}/v1"), "kind": review.kind(), "spec": spec})
        .to_string();
    let request = Request::post(format!("/apis/{group}/v1/{resource}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.into_bytes())
        .map_err(|_| unwritten(review))?;
    let answer = exchange(client, request).await.map_err(|fault| Trouble::of(review, &fault))?;
    // The parser's own words could quote the answer, which repeats the token.
    let answer: Answer<T> = serde_json::from_slice(&answer).map_err(|_| {
        Trouble::of(review, &Fault::new(Failure::Decode, format!("it is no {}", review.kind())))
    })?;
    Ok(answer.status)
}

fn unwritten(review: Review) -> Trouble {
    Trouble::of(review, &Fault::new(Failure::Other, "the request cannot be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_passed_on_with_all_that_decides() {
        let told = json!({"username": "a", "uid": "u", "groups": ["g"], "extra": {"k": ["v"]}});
        let user: User = serde_json::from_value(told).unwrap();
        assert_eq!(
            serde_json::to_value(&user).unwrap(),
            json!({"user": "a", "uid": "u", "groups": ["g"], "extra": {"k": ["v"]}})
        );
    }

    #[test]
    fn only_a_server_that_is_away_counts_as_an_outage() {
        for (kind, expected) in [
            (Failure::Unreachable, true),
            (Failure::ServerError, true),
            (Failure::Throttled, true),
            (Failure::Tls, true),
            (Failure::Forbidden, false),
            (Failure::Unauthorized, false),
            (Failure::Decode, false),
            (Failure::Other, false),
        ] {
            let trouble = Trouble::of(Review::Token, &Fault::new(kind, "x"));
            assert_eq!(trouble.is_outage(), expected, "{kind:?}");
            assert!(trouble.to_string().contains("tokenreviews"), "{trouble}");
        }
    }
}
