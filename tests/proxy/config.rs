//! The file that a proxy under test is started with, and that is written anew while it runs.

use std::net::SocketAddr;

use crate::pod::Pod;

/// Lines of YAML. Everything but the routes and the Services has a default that suits most tests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    proxy: Vec<String>,
    services: Vec<String>,
    routes: Vec<String>,
    is_secure: bool,
}

impl Config {
    /// Sends everything to these pods.
    pub(crate) fn to(pods: &[&Pod]) -> Self {
        let addresses: Vec<_> = pods.iter().map(|pod| pod.address()).collect();
        Self::at(&addresses)
    }

    /// Sends everything to these addresses.
    pub(crate) fn at(addresses: &[SocketAddr]) -> Self {
        Self::default().service_at("web", addresses).route("name: all, backends: [web]")
    }

    /// A key of `proxy`.
    pub(crate) fn with(mut self, line: &str) -> Self {
        self.proxy.push(line.to_owned());
        self
    }

    /// A socket for TLS as well.
    pub(crate) fn secure(mut self) -> Self {
        self.is_secure = true;
        self
    }

    /// A Service, by its mapping.
    pub(crate) fn service(mut self, mapping: &str) -> Self {
        self.services.push(mapping.to_owned());
        self
    }

    /// A Service of these pods.
    pub(crate) fn service_of(self, name: &str, pods: &[&Pod]) -> Self {
        let addresses: Vec<_> = pods.iter().map(|pod| pod.address()).collect();
        self.service_at(name, &addresses)
    }

    fn service_at(self, name: &str, addresses: &[SocketAddr]) -> Self {
        let addresses: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
        self.service(&format!("name: {name}, endpoints: [{}]", addresses.join(", ")))
    }

    /// A route, by its mapping.
    pub(crate) fn route(mut self, mapping: &str) -> Self {
        self.routes.push(mapping.to_owned());
        self
    }

    /// The file's text.
    pub(crate) fn text(&self, root: &str) -> String {
        let mut text = format!("node: n1\ncgroup: {{root: \"{root}\"}}\n");
        let mut line = |indent: &str, line: &str| {
            for line in line.lines() {
                text += &[indent, line, "\n"].concat();
            }
        };
        line("", "interval: 1s");
        line("", "proxy:");
        line("  ", "listen: [\"127.0.0.1:0\"]");
        if self.is_secure {
            line("  ", "listen_tls: [\"127.0.0.1:0\"]");
        }
        // Otherwise every test that ends a proxy would wait for the usual delay.
        for (key, default) in
            [("drain", "drain: {delay: 0s, timeout: 2s}"), ("workers", "workers: 2")]
        {
            if self.proxy.iter().all(|of_proxy| !of_proxy.starts_with(key)) {
                line("  ", default);
            }
        }
        self.proxy.iter().for_each(|of_proxy| line("  ", of_proxy));
        for (key, mappings) in [("services:", &self.services), ("routes:", &self.routes)] {
            if !mappings.is_empty() {
                line("  ", key);
            }
            for mapping in mappings {
                line("    ", &format!("- {{{mapping}}}"));
            }
        }
        text
    }
}
