//! All series but the kernel's counters of a cgroup.

use super::{Kind, Metric, Scope, Unit};

macro_rules! table {
    ($($variant:ident $scope:ident $kind:ident $unit:ident $name:literal [$($label:literal),*] $help:literal $source:literal;)*) => {
        /// A series that is not a kernel counter of a cgroup.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the table's help says what each is")]
        #[repr(u16)]
        pub enum Series { $($variant),* }

        pub(super) static TABLE: [Metric; [$(Series::$variant),*].len()] = [$(Metric {
            name: $name, kind: Kind::$kind, unit: Unit::$unit, scope: Scope::$scope, labels: &[$($label),*], help: $help, v1: $source, v2: $source,
        }),*];
    };
}

table! {
    // How near a limit or a request.
    MemoryLimitRatio Container Gauge Ratio "podmeter_memory_limit_ratio" ["basis"]
        "Memory against the limit in force, by what is counted: the working set, or only what cannot be reclaimed." "see podmeter_container_memory_unreclaimable_bytes, container_memory_working_set_bytes";
    MemoryRequestRatio Container Gauge Ratio "podmeter_memory_request_ratio" ["basis"]
        "Memory against the request." "container_memory_working_set_bytes, spec";
    CpuLimitRatio Container Gauge Ratio "podmeter_cpu_limit_ratio" []
        "CPU used since the tick before, against the limit in force." "container_cpu_usage_seconds_total, quota";
    CpuRequestRatio Container Gauge Ratio "podmeter_cpu_request_ratio" []
        "CPU used since the tick before, against the request." "container_cpu_usage_seconds_total, spec";
    MemorySecondsToLimit Container Gauge Seconds "podmeter_memory_seconds_to_limit" []
        "Time until unreclaimable memory reaches the limit if it goes on growing as over the kept history; absent while it does not grow." "median slope over the history";

    // Requests, limits and state of containers, by kube-state-metrics' names.
    ContainerRequests Container Gauge None "kube_pod_container_resource_requests" ["resource", "unit"]
        "Requested amount in force, sidecars included." "status.containerStatuses[].resources, spec.containers[].resources";
    ContainerLimits Container Gauge None "kube_pod_container_resource_limits" ["resource", "unit"]
        "Limit in force, sidecars included." "status.containerStatuses[].resources, spec.containers[].resources";
    InitRequests Container Gauge None "kube_pod_init_container_resource_requests" ["resource", "unit"]
        "Requested amount of an init container." "spec.initContainers[].resources";
    InitLimits Container Gauge None "kube_pod_init_container_resource_limits" ["resource", "unit"]
        "Limit of an init container." "spec.initContainers[].resources";
    ContainerRestarts Container Counter None "kube_pod_container_status_restarts_total" []
        "Restarts of the container in its pod." "status.containerStatuses[].restartCount";
    ContainerReady Container Gauge None "kube_pod_container_status_ready" []
        "1 when the readiness probe passes." "status.containerStatuses[].ready";
    ContainerRunning Container Gauge None "kube_pod_container_status_running" []
        "1 when it is running." "status.containerStatuses[].state.running";
    ContainerWaiting Container Gauge None "kube_pod_container_status_waiting" []
        "1 when it is waiting to start." "status.containerStatuses[].state.waiting";
    ContainerWaitingReason Container Gauge None "kube_pod_container_status_waiting_reason" ["reason"]
        "1 for the reason it is waiting, only while it is." "status.containerStatuses[].state.waiting.reason";
    ContainerTerminated Container Gauge None "kube_pod_container_status_terminated" []
        "1 when it has ended." "status.containerStatuses[].state.terminated";
    ContainerTerminatedReason Container Gauge None "kube_pod_container_status_terminated_reason" ["reason"]
        "1 for the reason it has ended, only while it has." "status.containerStatuses[].state.terminated.reason";
    ContainerLastTerminatedReason Container Gauge None "kube_pod_container_status_last_terminated_reason" ["reason"]
        "1 for the reason the container before this one ended." "status.containerStatuses[].lastState.terminated.reason";
    ContainerLastTerminatedExitcode Container Gauge None "kube_pod_container_status_last_terminated_exitcode" []
        "Exit code of the container before this one." "status.containerStatuses[].lastState.terminated.exitCode";
    ContainerLastTerminatedTimestamp Container Gauge Seconds "kube_pod_container_status_last_terminated_timestamp" []
        "When the container before this one ended, in Unix time." "status.containerStatuses[].lastState.terminated.finishedAt";
    InitRestarts Container Counter None "kube_pod_init_container_status_restarts_total" []
        "Restarts of an init container." "status.initContainerStatuses[].restartCount";
    InitReady Container Gauge None "kube_pod_init_container_status_ready" []
        "1 when the init container has done its work." "status.initContainerStatuses[].ready";
    InitRunning Container Gauge None "kube_pod_init_container_status_running" []
        "1 when it is running." "status.initContainerStatuses[].state.running";
    InitWaiting Container Gauge None "kube_pod_init_container_status_waiting" []
        "1 when it is waiting to start." "status.initContainerStatuses[].state.waiting";
    InitWaitingReason Container Gauge None "kube_pod_init_container_status_waiting_reason" ["reason"]
        "1 for the reason it is waiting, only while it is." "status.initContainerStatuses[].state.waiting.reason";
    InitTerminated Container Gauge None "kube_pod_init_container_status_terminated" []
        "1 when it has ended." "status.initContainerStatuses[].state.terminated";
    InitTerminatedReason Container Gauge None "kube_pod_init_container_status_terminated_reason" ["reason"]
        "1 for the reason it has ended, only while it has." "status.initContainerStatuses[].state.terminated.reason";
    InitLastTerminatedReason Container Gauge None "kube_pod_init_container_status_last_terminated_reason" ["reason"]
        "1 for the reason the init container before this one ended." "status.initContainerStatuses[].lastState.terminated.reason";

    // Pods.
    PodInfo Pod Gauge None "kube_pod_info" ["uid", "pod_ip", "host_ip", "created_by_kind", "created_by_name", "priority_class", "host_network"]
        "1, with what identifies the pod." "metadata, spec, status";
    PodPhase Pod Gauge None "kube_pod_status_phase" ["phase"]
        "1 for the phase the pod is in, 0 for the others." "status.phase";
    PodReady Pod Gauge None "kube_pod_status_ready" ["condition"]
        "1 for the state of condition Ready, 0 for the others." "status.conditions[Ready]";
    PodQos Pod Gauge None "kube_pod_status_qos_class" ["qos_class"]
        "1 for the pod's QoS class, 0 for the others." "status.qosClass";
    PodReason Pod Gauge None "kube_pod_status_reason" ["reason"]
        "1 for the reason of the pod's state, such as Evicted, only when there is one." "status.reason";
    PodCreated Pod Gauge Seconds "kube_pod_created" []
        "When the pod was made, in Unix time." "metadata.creationTimestamp";
    PodStartTime Pod Gauge Seconds "kube_pod_start_time" []
        "When the kubelet took the pod, in Unix time." "status.startTime";
    PodScheduledTime Pod Gauge Seconds "kube_pod_status_scheduled_time" []
        "When the pod was given to its node, in Unix time." "status.conditions[PodScheduled]";
    PodReadyTime Pod Gauge Seconds "kube_pod_status_ready_time" []
        "When the pod became ready, in Unix time; absent while it is not." "status.conditions[Ready]";
    PodStuck Pod Gauge Seconds "podmeter_pod_stuck_seconds" ["reason", "detail"]
        "How long the pod has been waiting for its containers, and why in one line; absent while it is not stuck." "status, Events, VolumeAttachments";
    PodStartup Pod Gauge Seconds "podmeter_pod_startup_seconds" ["revision"]
        "Time from being given to the node until it was ready for the first time, by the revision of its workload." "status.conditions[PodScheduled, Ready], metadata.labels";
    PodDeletion Pod Gauge Seconds "kube_pod_deletion_timestamp" []
        "When the pod's deletion was asked for, in Unix time." "metadata.deletionTimestamp";
    PodRequest Pod Gauge None "kube_pod_resource_request" ["resource", "unit"]
        "What the scheduler reserves for the pod: init containers, sidecars, overhead and pod-level resources accounted for; absent once the pod has ended." "spec, status";
    PodLimit Pod Gauge None "kube_pod_resource_limit" ["resource", "unit"]
        "Limits of the pod as the scheduler counts them; a container without a limit adds nothing. Absent once the pod has ended." "spec, status";
    NetReceiveBytes Pod Counter Bytes "container_network_receive_bytes_total" ["interface"]
        "Bytes received in the pod's network namespace; absent for hostNetwork pods." "/proc/<pid>/net/dev";
    NetReceivePackets Pod Counter None "container_network_receive_packets_total" ["interface"]
        "Packets received." "/proc/<pid>/net/dev";
    NetReceiveErrors Pod Counter None "container_network_receive_errors_total" ["interface"]
        "Errors on receipt." "/proc/<pid>/net/dev";
    NetReceiveDropped Pod Counter None "container_network_receive_packets_dropped_total" ["interface"]
        "Packets dropped on receipt." "/proc/<pid>/net/dev";
    NetTransmitBytes Pod Counter Bytes "container_network_transmit_bytes_total" ["interface"]
        "Bytes sent." "/proc/<pid>/net/dev";
    NetTransmitPackets Pod Counter None "container_network_transmit_packets_total" ["interface"]
        "Packets sent." "/proc/<pid>/net/dev";
    NetTransmitErrors Pod Counter None "container_network_transmit_errors_total" ["interface"]
        "Errors on sending." "/proc/<pid>/net/dev";
    NetTransmitDropped Pod Counter None "container_network_transmit_packets_dropped_total" ["interface"]
        "Packets dropped on sending." "/proc/<pid>/net/dev";

    // The node.
    NodeCpu Node Counter Seconds "podmeter_node_cpu_seconds_total" ["mode"]
        "CPU time by mode, summed over CPUs." "/proc/stat cpu";
    NodeCpuUsage Node Counter Seconds "node_cpu_usage_seconds_total" []
        "CPU time used, idle and iowait left out." "/proc/stat cpu";
    MachineCores Node Gauge Cores "machine_cpu_cores" []
        "CPUs online." "/proc/stat";
    MachineMemory Node Gauge Bytes "machine_memory_bytes" []
        "Memory installed." "/proc/meminfo MemTotal";
    NodeWorkingSet Node Gauge Bytes "node_memory_working_set_bytes" []
        "Memory in use less inactive file pages." "/proc/meminfo MemTotal - MemFree - Inactive(file)";
    NodeSwapUsage Node Gauge Bytes "node_swap_usage_bytes" []
        "Swap in use." "/proc/meminfo SwapTotal - SwapFree";
    NodeMemTotal Node Gauge Bytes "node_memory_MemTotal_bytes" [] "Memory installed." "/proc/meminfo";
    NodeMemFree Node Gauge Bytes "node_memory_MemFree_bytes" [] "Memory not used for anything." "/proc/meminfo";
    NodeMemAvailable Node Gauge Bytes "node_memory_MemAvailable_bytes" [] "Memory that could be had without swapping." "/proc/meminfo";
    NodeMemBuffers Node Gauge Bytes "node_memory_Buffers_bytes" [] "Cache of block devices." "/proc/meminfo";
    NodeMemCached Node Gauge Bytes "node_memory_Cached_bytes" [] "Page cache." "/proc/meminfo";
    NodeMemShmem Node Gauge Bytes "node_memory_Shmem_bytes" [] "Shared memory and tmpfs." "/proc/meminfo";
    NodeMemSlabReclaimable Node Gauge Bytes "node_memory_SReclaimable_bytes" [] "Kernel caches that can be given back." "/proc/meminfo";
    NodeMemSlabUnreclaimable Node Gauge Bytes "node_memory_SUnreclaim_bytes" [] "Kernel objects that cannot be given back." "/proc/meminfo";
    NodeMemSwapTotal Node Gauge Bytes "node_memory_SwapTotal_bytes" [] "Swap in all." "/proc/meminfo";
    NodeMemSwapFree Node Gauge Bytes "node_memory_SwapFree_bytes" [] "Swap not in use." "/proc/meminfo";
    NodeLoad1 Node Gauge None "node_load1" [] "Load average over 1 minute." "/proc/loadavg";
    NodeLoad5 Node Gauge None "node_load5" [] "Load average over 5 minutes." "/proc/loadavg";
    NodeLoad15 Node Gauge None "node_load15" [] "Load average over 15 minutes." "/proc/loadavg";
    NodePressureCpu Node Counter Seconds "node_pressure_cpu_waiting_seconds_total" [] "Time in which some task waited for a CPU." "/proc/pressure/cpu some";
    NodePressureMemoryWaiting Node Counter Seconds "node_pressure_memory_waiting_seconds_total" [] "Time in which some task waited for memory." "/proc/pressure/memory some";
    NodePressureMemoryStalled Node Counter Seconds "node_pressure_memory_stalled_seconds_total" [] "Time in which all tasks waited for memory at once." "/proc/pressure/memory full";
    NodePressureIoWaiting Node Counter Seconds "node_pressure_io_waiting_seconds_total" [] "Time in which some task waited for block I/O." "/proc/pressure/io some";
    NodePressureIoStalled Node Counter Seconds "node_pressure_io_stalled_seconds_total" [] "Time in which all tasks waited for block I/O at once." "/proc/pressure/io full";
    NodeOomKills Node Counter None "node_vmstat_oom_kill" [] "Processes killed for lack of memory on the whole node." "/proc/vmstat oom_kill";
    NodeBootTime Node Gauge Seconds "node_boot_time_seconds" [] "When the kernel booted, in Unix time." "/proc/stat btime";
    NodeFsSize Node Gauge Bytes "node_filesystem_size_bytes" ["device", "fstype", "mountpoint"] "Size of a file system." "statvfs";
    NodeFsAvail Node Gauge Bytes "node_filesystem_avail_bytes" ["device", "fstype", "mountpoint"] "Bytes free for anyone." "statvfs";
    NodeFsFree Node Gauge Bytes "node_filesystem_free_bytes" ["device", "fstype", "mountpoint"] "Bytes free for root." "statvfs";
    NodeFsFiles Node Gauge None "node_filesystem_files" ["device", "fstype", "mountpoint"] "Inodes in all." "statvfs";
    NodeFsFilesFree Node Gauge None "node_filesystem_files_free" ["device", "fstype", "mountpoint"] "Inodes free." "statvfs";
    NodeNetReceiveBytes Node Counter Bytes "node_network_receive_bytes_total" ["device"] "Bytes received." "/proc/1/net/dev";
    NodeNetReceivePackets Node Counter None "node_network_receive_packets_total" ["device"] "Packets received." "/proc/1/net/dev";
    NodeNetReceiveErrors Node Counter None "node_network_receive_errs_total" ["device"] "Errors on receipt." "/proc/1/net/dev";
    NodeNetReceiveDropped Node Counter None "node_network_receive_drop_total" ["device"] "Packets dropped on receipt." "/proc/1/net/dev";
    NodeNetTransmitBytes Node Counter Bytes "node_network_transmit_bytes_total" ["device"] "Bytes sent." "/proc/1/net/dev";
    NodeNetTransmitPackets Node Counter None "node_network_transmit_packets_total" ["device"] "Packets sent." "/proc/1/net/dev";
    NodeNetTransmitErrors Node Counter None "node_network_transmit_errs_total" ["device"] "Errors on sending." "/proc/1/net/dev";
    NodeNetTransmitDropped Node Counter None "node_network_transmit_drop_total" ["device"] "Packets dropped on sending." "/proc/1/net/dev";
    NodeCapacity Node Gauge None "kube_node_status_capacity" ["resource", "unit"] "What the node has." "status.capacity";
    NodeAllocatable Node Gauge None "kube_node_status_allocatable" ["resource", "unit"] "What pods may have of it." "status.allocatable";
    NodeCondition Node Gauge None "kube_node_status_condition" ["condition", "status"] "1 for the state of a condition, 0 for the others." "status.conditions";
    NodeUnschedulable Node Gauge None "kube_node_spec_unschedulable" [] "1 when the node is cordoned." "spec.unschedulable";
    NodeRequests Node Gauge None "podmeter_node_resource_requests" ["resource", "unit"]
        "Requests of the node's pods that have not ended, summed as kubectl describe node does." "spec, status";
    NodeLimits Node Gauge None "podmeter_node_resource_limits" ["resource", "unit"]
        "Limits of the node's pods that have not ended, summed as kubectl describe node does." "spec, status";
    NodeRequestsRatio Node Gauge Ratio "podmeter_node_resource_requests_ratio" ["resource"]
        "Summed requests against what is allocatable." "podmeter_node_resource_requests / kube_node_status_allocatable";
    NodeLimitsRatio Node Gauge Ratio "podmeter_node_resource_limits_ratio" ["resource"]
        "Summed limits against what is allocatable; over 1 is overcommitted." "podmeter_node_resource_limits / kube_node_status_allocatable";

    // What the proxy measured of a pod, whichever node it is on.
    BackendDuration Backend Histogram Seconds "http_client_request_duration_seconds" ["http_request_method", "http_response_status_code", "error_type", "http_route"]
        "Time from having a connection to the pod until the last byte of its answer, each attempt by itself; error_type is the status from 500 on, or why there is no whole answer." "";
    BackendFirstByte Backend Histogram Seconds "podmeter_http_backend_first_byte_duration_seconds" []
        "Time from having a connection to the pod until the head of its answer." "";
    BackendConnect Backend Histogram Seconds "podmeter_http_backend_connect_duration_seconds" []
        "Time that it took to connect to the pod; kept connections are not counted again." "";
    BackendConnectErrors Backend Counter None "podmeter_http_backend_connect_errors_total" ["error_type"]
        "Connections to the pod that could not be made." "";
    BackendRequestBytes Backend Counter Bytes "podmeter_http_backend_request_bytes_total" []
        "Bytes of requests' bodies that were sent to the pod." "";
    BackendResponseBytes Backend Counter Bytes "podmeter_http_backend_response_bytes_total" []
        "Bytes of answers' bodies that came from the pod." "";
    BackendActive Backend Gauge None "http_client_active_requests" []
        "Requests that the pod has and has not answered whole." "";
    BackendErrors Backend Counter None "podmeter_http_backend_errors_total" ["error_type"]
        "Attempts that ended without a whole answer, by why; answers with a status of 500 and above are whole." "";

    // What the proxy measured of a route, as the clients saw it.
    RouteDuration Route Histogram Seconds "http_server_request_duration_seconds" ["http_request_method", "http_response_status_code", "error_type"]
        "Time from the head of a request until the last byte of the answer was given to the client's connection; error_type is the status from 500 on, or why the proxy answered itself or the answer is not whole." "";
    RouteActive Route Gauge None "http_server_active_requests" []
        "Requests that are not answered whole yet." "";
    RouteRequestBytes Route Counter Bytes "podmeter_http_route_request_bytes_total" []
        "Bytes of requests' bodies." "";
    RouteResponseBytes Route Counter Bytes "podmeter_http_route_response_bytes_total" []
        "Bytes of answers' bodies." "";
    RouteAdded Route Histogram Seconds "podmeter_proxy_added_seconds" []
        "What of a request's time the proxy itself added: all that it did not spend waiting for a pod or for the client." "";
    RouteRetries Route Counter None "podmeter_proxy_retries_total" []
        "Further attempts at a pod after one that failed." "";

    // Podmeter itself.
    BuildInfo Agent Gauge None "podmeter_build_info" ["version", "cgroup"] "1, with Podmeter's version and the cgroup version it reads." "";
    ProcessCpu Agent Counter Seconds "process_cpu_seconds_total" [] "CPU time that Podmeter used." "/proc/self/stat";
    ProcessResident Agent Gauge Bytes "process_resident_memory_bytes" [] "Memory that Podmeter has resident." "/proc/self/stat";
    ProcessFds Agent Gauge None "process_open_fds" [] "Files that Podmeter has open; most are the kernel's counters." "/proc/self/fd";
    ProcessMaxFds Agent Gauge None "process_max_fds" [] "Most files it may have open." "getrlimit";
    ProcessStart Agent Gauge Seconds "process_start_time_seconds" [] "When Podmeter started, in Unix time." "/proc/self/stat";
    TickDuration Agent Histogram Seconds "podmeter_tick_duration_seconds" [] "Time that one tick took: discovery, reading and joining." "";
    ReadErrors Agent Counter None "podmeter_read_errors_total" ["source", "kind"] "What could not be read, by source and kind." "";
    SeriesCount Agent Gauge None "podmeter_series" [] "Series in the latest snapshot." "";
    Cgroups Agent Gauge None "podmeter_cgroups" ["state"] "Cgroups of pods and containers by what became of them: labelled, unlabelled, held, sandbox, superseded, foreign." "";
    UnlabelledSamples Agent Counter None "podmeter_unlabelled_samples_total" [] "Samples of containers that went out under a uid because their metadata was not known." "";
    HeldSamples Agent Counter None "podmeter_held_samples_total" [] "Samples held back for at most two ticks while metadata was on its way." "";
    LabelsCut Agent Gauge None "podmeter_labels_cut" ["reason"] "Labels and annotations of the node's pods that were left out (count) or shortened (length)." "";
    Pods Agent Gauge None "podmeter_pods" [] "Pods of this node that are known." "";
    WatchConnected Agent Gauge None "podmeter_watch_connected" ["resource"] "1 while the API server answers the watch." "";
    WatchSynced Agent Gauge None "podmeter_watch_synced" ["resource"] "1 once a first complete list was had." "";
    WatchContactAge Agent Gauge Seconds "podmeter_watch_last_contact_age_seconds" [] "Time since the API server last answered or sent something; it does so every minute, so more means old metadata." "";
    WatchEvents Agent Counter None "podmeter_watch_events_total" ["resource", "event"] "Events had from the API server." "";
    WatchFailures Agent Counter None "podmeter_watch_failures_total" ["kind"] "Failed requests to the API server, by kind." "";
    DiagnoseRequests Agent Counter None "podmeter_diagnose_requests_total" ["resource", "outcome"] "Requests to the API server that asked why a pod is stuck; none while no pod is." "";
    PodEvents Agent Counter None "podmeter_pod_events_total" ["reason", "outcome"] "Events that Podmeter wrote on pods, or did not: limited, forbidden, failed." "";
    ObjectsSkipped Agent Counter None "podmeter_objects_skipped_total" ["reason"] "Objects from the API server that could not be used, by reason." "";
    ConfigReloads Agent Counter None "podmeter_config_reloads_total" ["result"] "Changes of the configuration file that were put in force (ok) or refused for a fault (failed)." "";
    ConfigValid Agent Gauge None "podmeter_config_valid" [] "1 while the configuration file has no fault; at 0 the last good one is in force and the log says why." "";
    ProxyRouteFaults Agent Gauge None "podmeter_proxy_route_faults" ["namespace", "ingress", "reason"] "What of an Ingress, its Secrets and its Services cannot be used, by reason; the log and the Ingress' Events say what and how to mend it." "";
    Scrapes Agent Counter None "podmeter_scrapes_total" ["format"] "Scrapes answered, by format." "";
    ScrapesRefused Agent Counter None "podmeter_http_requests_refused_total" ["reason"] "Requests to Podmeter's own endpoints that were refused, by reason." "";
    ScrapeDuration Agent Histogram Seconds "podmeter_scrape_duration_seconds" [] "Time that answering a scrape took, the tick it may have asked for included." "";
    AccessRefusals Agent Counter None "podmeter_access_refusals_total" ["reason"] "Requests and connections to Podmeter's own endpoints that had no right to them, by reason." "";
    AccessReviews Agent Counter None "podmeter_access_reviews_total" ["outcome"]
        "Bearer tokens that the API server was asked about, by what came of it; held is an earlier yes that goes on while it is away." "";
    TlsFaults Agent Gauge None "podmeter_tls_faults" ["reason"]
        "What is wrong with the TLS files of Podmeter's own endpoints, by reason; the last good ones are in force and the log says what to mend." "";
    TlsCertificateExpiry Agent Gauge Seconds "podmeter_tls_certificate_expiry_timestamp_seconds" []
        "Until when the certificate of Podmeter's own endpoints is good, in Unix time." "";
    ProxyRefused Agent Counter None "podmeter_proxy_refused_total" ["reason"] "Requests and connections that the proxy refused or answered itself, by reason." "";
    ProxySeriesOverflow Agent Counter None "podmeter_proxy_series_overflow_total" []
        "Requests and attempts counted in the series with otel_metric_overflow=\"true\", because there are as many combinations of pod, route, method and status as are allowed." "";
    ProxyConnections Agent Gauge None "podmeter_proxy_connections" [] "Clients' connections to the proxy that are open." "";
    ProxyRevoked Agent Counter None "podmeter_proxy_revoked_connections_total" [] "Connections that were cut because their client's certificate was no longer good." "";
    ProxyCertificateExpiry Agent Gauge Seconds "podmeter_proxy_certificate_expiry_timestamp_seconds" ["namespace", "certificate"] "Until when a certificate that the proxy shows is good, in Unix time." "";
    AccessLogDropped Agent Counter None "podmeter_proxy_access_log_dropped_total" ["reason"] "Lines that are not in the access log: it was not written as fast as lines came (full), or could not be written (write)." "";
}
