//! nginx with a configuration of its own: as the server of files that others are compared with, or as a proxy.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::program::{Server, find, start_on_a_port};

/// It runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    server: Server,
    folder: TempDir,
}

/// One that was ended and can be started again at the same address.
#[derive(Debug)]
pub(crate) struct Stopped {
    address: SocketAddr,
    folder: TempDir,
}

/// Files of the site: name and length.
pub(crate) const FILES: [(&str, usize); 7] = [
    ("empty", 0),
    ("byte", 1),
    ("1k", 1 << 10),
    ("64k", 64 << 10),
    ("1m", 1 << 20),
    ("32m", 32 << 20),
    ("text.txt", 200_000),
];

/// What the site does beside files. With server-side includes nginx does not know the length before, and sends chunks.
const SITE: &str = "
    root site;
    absolute_redirect off;
    gzip on;
    gzip_types text/plain;
    client_max_body_size 0;
    location /chunked/ { alias site/; ssi on; ssi_types *; }
    location /moved { return 302 /1k; }
    location /moved-far { return 301 http://elsewhere.test/1k; }
    location ~ ^/status/(?<code>204|304|400|401|403|404|429|500|502|503)$ {
        if ($code = 204) { return 204; }
        if ($code = 304) { return 304; }
        if ($code = 400) { return 400 bad; }
        if ($code = 401) { return 401 who; }
        if ($code = 403) { return 403 no; }
        if ($code = 404) { return 404 gone; }
        if ($code = 429) { return 429 slow; }
        if ($code = 500) { return 500 broken; }
        if ($code = 502) { return 502 behind; }
        return 503 later;
    }
    location /seen {
        default_type text/plain;
        add_header x-twice one;
        add_header x-twice two;
        return 200 \"$request_method $request_uri $http_host $http_x_test $http_x_empty $http_cookie\";
    }
    location /client { default_type text/plain; return 200 \"$http_x_forwarded_for|$http_x_forwarded_proto|$http_x_forwarded_host\"; }
    location /connection { default_type text/plain; return 200 $connection; }
    location /upload/ { dav_methods PUT DELETE; create_full_put_path on; alias upload/; }
";

impl Nginx {
    /// The site, with further lines for `server`.
    pub(crate) fn site(more: &str) -> Result<Self, String> {
        Self::start("", &format!("{SITE}{more}"), make_site)
    }

    /// A proxy in front of this address.
    pub(crate) fn before(address: SocketAddr) -> Result<Self, String> {
        let upstream = format!("upstream next {{ server {address}; keepalive 16; }}");
        let server = "
            client_max_body_size 0;
            location / {
                proxy_pass http://next;
                proxy_http_version 1.1;
                proxy_set_header Connection \"\";
                proxy_set_header Host $http_host;
                proxy_set_header X-Forwarded-For $remote_addr;
            }";
        Self::start(&upstream, server, |_| {})
    }

    /// What a client uploaded.
    pub(crate) fn uploaded(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join("upload").join(name)).unwrap()
    }

    /// A file of the site.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join("site").join(name)).unwrap()
    }

    /// Makes a file of the site that is all zeros and takes no room on the disk.
    pub(crate) fn make_sparse(&self, name: &str, length: u64) {
        let path = self.folder.path().join("site").join(name);
        fs::File::create(path).unwrap().set_len(length).unwrap();
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Stopped {
        let Self { address, server, folder } = self;
        drop(server);
        Stopped { address, folder }
    }

    fn start(http: &str, server: &str, fill: impl Fn(&Path)) -> Result<Self, String> {
        let program = find("nginx")?;
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let (running, address) = start_on_a_port(|address| {
            fs::write(folder.path().join("nginx.conf"), text(http, server, address)).unwrap();
            run(&program, folder.path())
        });
        Ok(Self { address, server: running, folder })
    }
}

impl Stopped {
    /// Starts it again.
    pub(crate) fn start(self) -> Result<Nginx, String> {
        let mut server = run(&find("nginx")?, self.folder.path());
        assert!(server.listens(self.address), "nginx does not start again: {}", server.log());
        Ok(Nginx { address: self.address, server, folder: self.folder })
    }
}

fn run(program: &Path, folder: &Path) -> Server {
    let mut command = Command::new(program);
    command.args(["-c", "nginx.conf", "-e", "error.log", "-p"]).arg(folder);
    Server::start(&mut command, folder.join("out.log"))
}

/// One process in the foreground, so that ending it ends all of it.
fn text(http: &str, server: &str, address: SocketAddr) -> String {
    format!(
        "daemon off; master_process off; pid nginx.pid;
        events {{ worker_connections 4096; }}
        http {{
            access_log off; server_tokens off; default_type application/octet-stream;
            client_body_temp_path tmp; proxy_temp_path tmp-proxy;
            fastcgi_temp_path tmp-fastcgi; uwsgi_temp_path tmp-uwsgi; scgi_temp_path tmp-scgi;
            types {{ text/plain txt; }}
            large_client_header_buffers 8 32k;
            {http}
            server {{ listen {address} backlog=4096; server_name _; {server} }}
        }}"
    )
}

fn make_site(folder: &Path) {
    fs::create_dir_all(folder.join("upload")).unwrap();
    fs::create_dir_all(folder.join("site/a b")).unwrap();
    let mut random = noise();
    for (name, length) in FILES {
        let bytes = if name == "text.txt" {
            b"A line that is like all of the others.\n"
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect()
        } else {
            (0..length).map(|_| random()).collect::<Vec<u8>>()
        };
        fs::write(folder.join("site").join(name), bytes).unwrap();
    }
    fs::write(folder.join("site/a b/ü+%.txt"), "an awkward name\n").unwrap();
}

/// Bytes that do not repeat, the same in each run (xorshift64).
fn noise() -> impl FnMut() -> u8 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[7]
    }
}
