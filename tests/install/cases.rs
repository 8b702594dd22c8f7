//! The cases, each a sentence that must hold on a real cluster.

mod applied;
mod ports;
mod readers;
mod removal;
mod rights;
mod secure;
mod update;

use crate::install::suite::Suite;

macro_rules! cases {
    ($($module:ident: $($name:ident)*;)*) => {
        /// Every case by its name; those that take longest come first.
        pub(crate) const ALL: &[(&str, fn(&Suite))] = &[$($((stringify!($name), $module::$name)),*),*];
    };
}

cases! {
    secure:
        renewed_certificate_is_served_by_the_pod_that_runs;
    update:
        update_costs_a_scraper_no_more_than_a_tick;
    readers:
        token_or_binding_is_withdrawn_alone_within_seconds;
    ports:
        port_of_the_node_leads_to_the_pods_of_an_ingress;
    removal:
        helm_leaves_nothing_behind;
    rights:
        rendered_roles_are_what_the_program_asks_for
        rendered_roles_are_enough;
    applied:
        applied_manifests_are_ready_within_twenty_seconds_and_go_without_a_trace;
}
