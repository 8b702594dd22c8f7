//! Helm: installed, upgraded and removed with all that can be switched on.

use crate::install::leftovers;
use crate::install::release::Release;
use crate::install::suite::Suite;

pub(crate) fn helm_leaves_nothing_behind(suite: &Suite) {
    let release = Release::by_helm(suite, "removal", "access: {scraper: {create: true}}");
    let class = format!("{{name: {}}}", release.name);
    release.helm(
        "upgrade",
        &format!(
            "access: {{scraper: {{create: true}}}}\npodEvents: [stuck]\n\
             networkPolicy: {{enabled: true}}\ndashboards: {{enabled: true}}\n\
             proxy: {{enabled: true, ingressClass: {class}, publishAddress: [192.0.2.1]}}\n\
             config: {{proxy: {{drain: {{delay: 1s, timeout: 1s}}}}}}"
        ),
    );
    release.ready();
    let roles = release.tool().kubectl(&["get", "clusterroles", "-o", "name"]);
    for part in ["", "-proxy", "-proxy-events", "-proxy-status", "-access", "-diagnose", "-events"]
    {
        let name = format!("{}{part}", release.name);
        assert!(roles.lines().any(|line| line.ends_with(&name)), "no role {name}");
    }
    let pod = release.pod();
    let text = |at: &str| pod.pointer(at).and_then(|it| it.as_str()).expect("it runs").to_owned();
    let (uid, address) = (text("/metadata/uid"), text("/status/podIP"));
    release.uninstall();
    leftovers::none_in_the_cluster(&release);
    leftovers::none_on_the_node(&release, &uid, &address);
}
