//! What the demo's cluster looks like: three applications, nine pods, what each process does, and the hosts
//! that lead to them.
//!
//! Data only: [`super::objects`] says it in the API's words, and [`super::kubelet`] starts it.

use crate::cli::Job;

/// MiB.
pub const MI: u64 = 1 << 20;
/// The only node there is.
pub const NODE: &str = "demo";

/// The `IngressClass` of the demo's Ingresses.
pub const CLASS: &str = "podmeter";

/// One pod with one container.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Also the namespace.
    pub application: &'static str,
    /// Label `component`, and the container's name.
    pub component: &'static str,
    /// Label `role`: `api`, `worker` or `cache`.
    pub role: &'static str,
    /// Label `version`: `canary` or `stable`.
    pub version: &'static str,
    /// Annotation `team`.
    pub team: &'static str,
    /// What runs it: kind and name.
    pub owner: (&'static str, &'static str),
    /// The pod's name behind its owner's: a `ReplicaSet`'s hash and five characters, or an ordinal.
    pub suffix: &'static str,
    /// Millicores and bytes.
    pub requests: (u64, u64),
    /// Millicores (0 for none) and bytes.
    pub limits: (u64, u64),
    /// What its process does.
    pub job: Job,
    /// What there is to see, if there is something.
    pub remark: Option<&'static str>,
}

impl Plan {
    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.owner.1, self.suffix)
    }

    /// Whether requests are limits.
    #[must_use]
    pub fn is_guaranteed(&self) -> bool {
        self.requests == self.limits
    }

    /// Where the kubelet puts a pod of this one's `QoS` class, below the subtree.
    #[must_use]
    pub fn parent(&self) -> &'static str {
        if self.is_guaranteed() { "kubepods" } else { "kubepods/burstable" }
    }
}

/// What is reachable of an application: a Service before its HTTP pods, and an Ingress for its host.
#[derive(Clone, Copy, Debug)]
pub struct Front {
    /// Namespace and name of the host before `.demo`.
    pub application: &'static str,
    /// The Service's name; its pods are those with this label `component`.
    pub component: &'static str,
    /// Paths of the Ingress, each for all that lies below it. Others have no route.
    pub paths: &'static [&'static str],
}

/// One for each application.
pub const FRONTS: [Front; 3] = [
    Front { application: "shop", component: "checkout", paths: &["/cart", "/orders"] },
    Front { application: "billing", component: "payments", paths: &["/payments", "/export"] },
    Front { application: "search", component: "query", paths: &["/"] },
];

impl Front {
    /// The host that clients ask for.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.demo", self.application)
    }

    /// Whether the pod is behind the Service.
    #[must_use]
    pub fn has(&self, plan: &Plan) -> bool {
        plan.application == self.application && plan.component == self.component
    }
}

/// The nine pods.
#[must_use]
pub fn plans() -> Vec<Plan> {
    shop().into_iter().chain(billing()).chain(search()).collect()
}

/// An HTTP app with what most pods here have.
fn api(application: &'static str, team: &'static str, component: &'static str) -> Plan {
    Plan {
        application,
        component,
        role: "api",
        version: "stable",
        team,
        owner: ("Deployment", component),
        suffix: "0",
        requests: (50, 32 * MI),
        limits: (200, 64 * MI),
        job: Job::Http { delay: 20, hold: 4, errors: 0 },
        remark: None,
    }
}

fn shop() -> [Plan; 4] {
    let checkout = Plan {
        owner: ("Deployment", "shop-checkout"),
        suffix: "7d4b9c6f58-x2k8p",
        ..api("shop", "storefront", "checkout")
    };
    [
        Plan {
            version: "canary",
            owner: ("Deployment", "shop-checkout-canary"),
            suffix: "6f9d8b7c49-q7m2n",
            job: Job::Http { delay: 120, hold: 8, errors: 0 },
            remark: Some("takes 120 ms for an answer, and the stable version 20 ms"),
            ..checkout.clone()
        },
        Plan {
            component: "mailer",
            role: "worker",
            owner: ("Deployment", "shop-mailer"),
            suffix: "5c8f7d9b64-h4t6z",
            requests: (100, 32 * MI),
            job: Job::Burn { cores: 0.6, hold: 4 },
            remark: Some("wants 0.6 cores, may use 0.2: throttled"),
            ..checkout.clone()
        },
        Plan {
            component: "sessions",
            role: "cache",
            owner: ("StatefulSet", "shop-sessions"),
            suffix: "0",
            requests: (100, 48 * MI),
            limits: (100, 48 * MI),
            job: Job::Burn { cores: 0.01, hold: 36 },
            remark: Some("sits at about 80% of its memory limit"),
            ..checkout.clone()
        },
        checkout,
    ]
}

fn billing() -> [Plan; 3] {
    let payments = Plan {
        owner: ("Deployment", "billing-payments"),
        suffix: "58b7c9d6f4-j5w9c",
        job: Job::Http { delay: 5, hold: 4, errors: 0 },
        ..api("billing", "payments", "payments")
    };
    [
        Plan {
            component: "invoices",
            role: "worker",
            version: "canary",
            owner: ("Deployment", "billing-invoices"),
            suffix: "84d6f5b7c9-m8v4d",
            job: Job::Drift { from: 16, step: 512 },
            remark: Some(
                "drifts towards its memory limit of 64Mi, is OOM-killed after about 90 s and restarted",
            ),
            ..payments.clone()
        },
        Plan {
            component: "ledger",
            role: "worker",
            owner: ("Deployment", "billing-ledger"),
            suffix: "69c7b8d5f4-s3z7g",
            limits: (0, 64 * MI),
            job: Job::Burn { cores: 0.08, hold: 8 },
            remark: Some("uses more CPU than it requests, and has no CPU limit"),
            ..payments.clone()
        },
        payments,
    ]
}

fn search() -> [Plan; 2] {
    let query = Plan {
        owner: ("Deployment", "search-query"),
        suffix: "7b5d8f9c64-k6n2r",
        job: Job::Http { delay: 40, hold: 8, errors: 25 },
        remark: Some("answers one request in 25 with 500"),
        ..api("search", "discovery", "query")
    };
    [
        Plan {
            component: "indexer",
            role: "worker",
            owner: ("Deployment", "search-indexer"),
            suffix: "4f6c8d7b95-t9x5l",
            requests: (150, 48 * MI),
            limits: (300, 96 * MI),
            job: Job::Burn { cores: 0.12, hold: 24 },
            remark: None,
            ..query.clone()
        },
        query,
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn pods_are_nine_with_names_of_their_own() {
        let names: HashSet<_> =
            plans().iter().map(|plan| (plan.application, plan.name())).collect();
        assert_eq!(names.len(), 9);
    }

    #[test]
    fn every_http_pod_is_behind_one_service_and_no_other_pod_is() {
        for plan in plans() {
            let fronts = FRONTS.iter().filter(|front| front.has(&plan)).count();
            assert_eq!(fronts, usize::from(matches!(plan.job, Job::Http { .. })), "{plan:?}");
        }
        let shop = plans().into_iter().filter(|plan| FRONTS[0].has(plan));
        let versions: HashSet<_> = shop.map(|plan| plan.version).collect();
        assert_eq!(versions, HashSet::from(["stable", "canary"]));
    }

    #[test]
    fn whole_demo_stays_within_its_budget() {
        let memory: u64 = plans().iter().map(|plan| plan.limits.1).sum();
        assert!(memory < 640 * MI, "limits are what a worst case could hold");
        let cores: f64 = plans()
            .iter()
            .map(|plan| match plan.job {
                Job::Burn { cores, .. } if plan.limits.0 > 0 => {
                    cores.min(plan.limits.0 as f64 / 1000.0)
                }
                Job::Burn { cores, .. } => cores,
                _ => 0.0,
            })
            .sum();
        assert!(cores < 0.6, "{cores}");
    }
}
