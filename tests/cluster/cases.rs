//! The cases, each a sentence that must hold on a real cluster.

mod access;
mod allocation;
mod identity;
mod life;
mod network;
mod outage;
mod proxy;
mod stuck;
mod values;
mod workloads;

use crate::cluster::suite::Suite;
use proxy::{certificates, classes, faults, revocation, rights, rollout, services, traffic};

macro_rules! cases {
    ($($module:ident: $($name:ident)*;)*) => {
        /// Every case by its name; those that take longest come first.
        pub(crate) const ALL: &[(&str, fn(&Suite))] = &[$($((stringify!($name), $module::$name)),*),*];
    };
}

cases! {
    rollout:
        proxy_loses_no_request_while_pods_are_replaced
        proxy_loses_no_get_when_pods_stop_without_a_pause
        proxy_loses_no_get_when_pods_die_at_once;
    faults:
        proxy_serves_on_beside_a_bad_ingress_and_says_what_is_wrong;
    services:
        proxy_says_to_come_back_while_there_is_no_pod
        proxy_finds_named_ports_and_counts_shared_pods_once;
    classes:
        proxy_serves_the_ingresses_of_its_class_alone;
    certificates:
        proxy_takes_a_rotated_certificate_and_keeps_the_last_good_one;
    revocation:
        proxy_cuts_a_client_whose_certificate_is_revoked_within_five_seconds;
    traffic:
        proxy_counts_each_request_under_the_pod_that_answered_it;
    rights:
        proxy_does_without_the_optional_rights
        proxys_documented_rights_pass_the_check;
    stuck:
        volume_without_its_config_map_is_named_until_it_is_there
        variable_without_its_secret_is_named
        image_that_cannot_be_pulled_is_named
        volume_of_another_node_is_told_with_the_node
        startup_of_a_pod_is_what_its_status_says;
    workloads:
        pods_of_a_cron_job_are_named_after_it
        workload_of_every_kind_of_owner_is_named
        job_pod_that_completed_has_its_state_and_no_usage
        init_container_has_its_own_series_and_sets_the_pods_request;
    values:
        counters_lie_between_two_samples_of_the_kubelets
        block_io_is_what_the_kernel_counted
        memory_is_what_the_kernel_and_the_kubelet_say
        container_over_its_cpu_limit_shows_the_kernels_throttling;
    life:
        restarted_container_is_one_series_at_any_moment
        container_that_cannot_start_says_why_and_has_no_usage
        oom_kills_stay_counted_over_the_replacement
        changed_label_ends_the_old_series_and_starts_new_ones
        deleted_pod_leaves_nothing_behind;
    identity:
        labels_and_annotations_are_on_every_series_of_a_deployments_container
        requests_and_limits_are_those_of_the_spec_and_of_the_kernel
        static_pod_is_found_by_its_config_hash;
    network:
        interfaces_are_counted_once_and_never_for_the_hosts_network;
    allocation:
        allocation_is_what_kubectl_describes;
    access:
        documented_rights_are_enough_and_a_missing_one_is_named
        without_rights_on_nodes_the_pods_are_named_all_the_same
        one_snapshot_can_be_printed
        check_tells_what_works_and_what_does_not;
    outage:
        pod_made_while_the_api_server_is_unreachable_is_named_afterwards
        series_go_on_while_the_api_server_is_restarted;
}
