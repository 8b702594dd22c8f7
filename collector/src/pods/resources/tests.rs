//! Worked examples, as the scheduler and the kubelet count them.

use serde_json::json;

use super::*;
use crate::cgroup::PodUid;
use crate::pods::model::Workload;

fn amounts(cpu: Option<f64>, memory: Option<f64>) -> Amounts {
    Amounts { cpu, memory, ..Amounts::default() }
}

fn container(role: Role, cpu: Option<f64>) -> Container {
    let resources = Resources { requests: amounts(cpu, None), limits: amounts(cpu, None) };
    Container { name: "c".into(), role, resources, status: None }
}

fn pod(containers: &[(Role, Option<f64>)]) -> Pod {
    let containers = containers.iter().map(|(role, cpu)| container(*role, *cpu)).collect();
    Pod {
        containers,
        ..Pod::bare(PodUid::Uid(1), "shop".into(), "web".into(), Workload::default())
    }
}

#[test]
fn regular_containers_add_up_and_the_largest_init_container_counts_if_larger() {
    let small =
        pod(&[(Role::Init, Some(1.0)), (Role::Regular, Some(1.0)), (Role::Regular, Some(0.5))]);
    assert_eq!(pod_request(&small).cpu, Some(1.5));
    let large =
        pod(&[(Role::Init, Some(2.0)), (Role::Init, Some(4.0)), (Role::Regular, Some(1.5))]);
    assert_eq!(pod_request(&large).cpu, Some(4.0));
}

#[test]
fn sidecars_count_beside_regular_ones_and_beside_init_containers_after_them() {
    let roles = [
        (Role::Init, Some(5.0)),
        (Role::Sidecar, Some(2.0)),
        (Role::Init, Some(4.0)),
        (Role::Sidecar, Some(1.0)),
        (Role::Regular, Some(1.0)),
    ];
    // Together: 2 + 1 + 1 = 4. While starting: 5 alone, then 2 + 4 = 6, then 2 + 1 = 3.
    assert_eq!(pod_request(&pod(&roles)).cpu, Some(6.0));
}

#[test]
fn ephemeral_containers_count_for_nothing() {
    let pod = pod(&[(Role::Regular, Some(1.0)), (Role::Ephemeral, None)]);
    assert_eq!((pod_request(&pod).cpu, pod_limit(&pod).cpu), (Some(1.0), Some(1.0)));
}

#[test]
fn pods_own_resources_override_and_overhead_adds() {
    let mut pod = pod(&[(Role::Regular, Some(1.0)), (Role::Regular, None)]);
    pod.overhead = amounts(Some(0.25), Some(100.0));
    assert_eq!(pod_request(&pod).cpu, Some(1.25));
    assert_eq!(pod_request(&pod).memory, Some(100.0));
    assert_eq!(pod_limit(&pod).memory, None, "overhead makes no limit");
    pod.resources =
        Some(Resources { requests: amounts(Some(3.0), None), limits: amounts(Some(4.0), None) });
    assert_eq!((pod_request(&pod).cpu, pod_limit(&pod).cpu), (Some(3.25), Some(4.25)));
}

#[test]
fn limits_that_are_written_are_summed_beside_containers_without_one() {
    for unlimited in [None, Some(0.0)] {
        let pod = pod(&[(Role::Regular, Some(1.0)), (Role::Regular, unlimited)]);
        assert_eq!(pod_limit(&pod).cpu, Some(1.0));
    }
    assert_eq!(pod_limit(&pod(&[(Role::Regular, None)])).cpu, None);
}

#[test]
fn status_is_in_force_before_the_spec_resource_by_resource() {
    let spec: ResourceSpec = serde_json::from_value(
        json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}}),
    )
    .unwrap();
    assert_eq!(in_force(&spec, None).requests.cpu, Some(1.0));

    let admitted = json!({"allocatedResources": {"cpu": "1500m"}});
    let admitted: ContainerStatus = serde_json::from_value(admitted).unwrap();
    assert_eq!(in_force(&spec, Some(&admitted)).requests.cpu, Some(1.5));

    let applied = json!({"allocatedResources": {"cpu": "1500m"}, "resources": {"requests": {"cpu": "1.25"}, "limits": {"cpu": "3"}}});
    let applied: ContainerStatus = serde_json::from_value(applied).unwrap();
    let resources = in_force(&spec, Some(&applied));
    assert_eq!(resources.requests, amounts(Some(1.25), Some(1_073_741_824.0)));
    assert_eq!(resources.limits.cpu, Some(3.0));
}

#[test]
fn other_resources_are_kept_by_name_up_to_the_bound_and_bad_amounts_are_not() {
    let entries = (0..20).map(|number| (format!("example.com/r{number}").into(), "1".into()));
    let mut map = Map { entries: entries.collect(), more: 0 };
    map.entries.push(("cpu".into(), "many".into()));
    map.entries.push(("memory".into(), "-5".into()));
    let amounts = Amounts::read(&map);
    assert_eq!((amounts.others.len(), amounts.cpu, amounts.memory), (MAX_OTHERS, None, None));
}
