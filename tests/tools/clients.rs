//! curl as the client: every version of HTTP gets from the proxy what nginx itself gives.

use std::collections::HashSet;
use std::fs;

use crate::curl::{Answer, Curl, MOST};
use crate::nginx::{FILES, Nginx};
use crate::program::{find, run};
use crate::proxy::{Proxy, Settings};
use crate::{Case, Shown};

pub(crate) const CASES: &[Case] = &[
    ("curl_gets_the_same_over_every_version", gets_the_same_over_every_version),
    ("curl_gets_many_over_one_connection", gets_many_over_one_connection),
    ("curl_uploads_whatever_it_announces", uploads_whatever_it_announces),
    ("curl_gets_parts_compressed_and_conditional", gets_parts_compressed_and_conditional),
    ("curl_follows_redirects_through_the_proxy", follows_redirects),
    ("curl_is_closed_when_it_asks", is_closed_when_it_asks),
    ("curl_tells_its_address_with_the_proxy_protocol", tells_its_address),
];

/// curl 7.88 fails to use such a connection again, whoever the server is.
const ONLY_ONCE: &[&str] = &["--http2-prior-knowledge"];

/// What curl is told, whether it is for TLS, and the version that comes of it. Plain `--http2` asks to upgrade, which
/// nobody has to grant (RFC 9113, 3.1).
const VERSIONS: [(&[&str], bool, &str); 6] = [
    (&["--http1.0"], false, "1"),
    (&["--http1.1"], false, "1.1"),
    (&["--http2"], false, "1.1"),
    (&["--http2-prior-knowledge"], false, "2"),
    (&["--http1.1"], true, "1.1"),
    (&["--http2"], true, "2"),
];

fn pair() -> Result<(Nginx, Proxy), String> {
    let nginx = Nginx::site("")?;
    let proxy = Settings { is_tls: true, ..Settings::to(nginx.address) }.start()?;
    Ok((nginx, proxy))
}

fn ask(
    proxy: &Proxy,
    version: (&[&str], bool),
    more: &[&str],
    path: &str,
) -> Result<Answer, String> {
    let (arguments, is_tls) = version;
    let curl = Curl::new(arguments)?.with(more);
    Ok(if is_tls {
        let certificate = proxy.certificate();
        curl.with(&["--cacert", certificate.to_str().unwrap()]).get_secure(proxy.secure(), path)
    } else {
        curl.get(proxy.plain, path)
    })
}

fn gets_the_same_over_every_version() -> Shown {
    let (nginx, proxy) = pair()?;
    let mut asked = 0.0;
    for (arguments, is_tls, version) in VERSIONS {
        let files =
            FILES.iter().flat_map(|(name, _)| [format!("/{name}"), format!("/chunked/{name}")]);
        let others =
            ["/none", "/a%20b/%C3%BC%2B%25.txt", "/seen?a=%2F&b", "/status/204", "/status/503"];
        for path in files.chain(others.map(str::to_owned)) {
            let direct =
                Curl::new(&["--http1.1", "-H", "Host: same.test"])?.get(nginx.address, &path);
            // nginx is asked for the name of another address otherwise.
            let through = ask(&proxy, (arguments, is_tls), &["-H", "Host: same.test"], &path)?;
            let what = format!("{path} with {arguments:?}, TLS {is_tls}");
            assert_eq!((through.exit, direct.exit), (0, 0), "{what}");
            assert_eq!(through.status, direct.status, "{what}");
            assert_eq!(through.version, version, "{what}");
            assert!(through.body == direct.body, "{what}: the bodies differ");
            for name in ["content-type", "etag", "last-modified", "x-twice", "content-length"] {
                assert_eq!(through.header(name), direct.header(name), "{what}: {name}");
            }
            asked += 1.0;
        }
    }
    assert_eq!(proxy.answered(&[]), asked);
    Ok(())
}

fn gets_many_over_one_connection() -> Shown {
    let (_nginx, proxy) = pair()?;
    let program = find("curl")?;
    for (arguments, is_tls, version) in
        VERSIONS.into_iter().filter(|version| version.0 != ONLY_ONCE)
    {
        let base = if is_tls { proxy.secure() } else { proxy.plain };
        let scheme = if is_tls { "https" } else { "http" };
        let mut command = std::process::Command::new(&program);
        command.args([
            "-q",
            "-s",
            "-k",
            "--noproxy",
            "*",
            "-w",
            "%{stderr}%{num_connects} %{http_code} %{size_download}\n",
        ]);
        command.args(arguments);
        // Answers of all framings and a request with a body in between, none of which may end the connection.
        let paths =
            ["/1k", "/chunked/64k", "/empty", "/none", "/64k", "/chunked/empty", "/status/204"];
        for path in paths.iter().cycle().take(70) {
            command.args(["-o", "/dev/null"]).arg(format!("{scheme}://{base}{path}"));
        }
        let said = run(&mut command, MOST).errors;
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 70, "{said}");
        let made: u32 =
            lines.iter().map(|line| line.split(' ').next().unwrap().parse::<u32>().unwrap()).sum();
        // A client of HTTP/1.0 did not ask for the connection to be kept.
        let expected = if arguments == ["--http1.0"] { 70 } else { 1 };
        assert_eq!(made, expected, "connections of HTTP/{version}: {said}");
        for (line, path) in lines.iter().zip(paths.iter().cycle()) {
            let expected = match *path {
                "/1k" => "200 1024",
                "/64k" | "/chunked/64k" => "200 65536",
                "/none" => "404 ",
                "/status/204" => "204 0",
                _ => "200 0",
            };
            assert!(line[2..].starts_with(expected), "{path}: {line}");
        }
    }
    Ok(())
}

fn uploads_whatever_it_announces() -> Shown {
    let (nginx, proxy) = pair()?;
    let folder = tempfile::tempdir().unwrap();
    let ways: [(&str, &[&str]); 3] = [
        ("expecting", &["-H", "Expect: 100-continue"]),
        ("at-once", &["-H", "Expect:"]),
        ("chunked", &["-H", "Transfer-Encoding: chunked"]),
    ];
    for (number, (arguments, is_tls, version)) in VERSIONS.into_iter().enumerate() {
        for (length, (way, more)) in
            [0, 1, 70_000, 5_000_000].into_iter().flat_map(|length| ways.map(|way| (length, way)))
        {
            // There are no chunks in HTTP/1.0, and in HTTP/2 a header for them is none. curl 7.88 never ends none at all.
            if way == "chunked" && (version != "1.1" || length == 0) {
                continue;
            }
            let name = format!("{way}-{number}-{length}");
            let file = folder.path().join(&name);
            let bytes: Vec<u8> = (0..length)
                .map(|at: u32| at.to_le_bytes()[usize::from(at.is_multiple_of(7))])
                .collect();
            fs::write(&file, &bytes).unwrap();
            let mut arguments = arguments.to_vec();
            arguments.extend(["-T", file.to_str().unwrap()]);
            let answer = ask(&proxy, (&arguments, is_tls), more, &format!("/upload/{name}"))?;
            assert_eq!((answer.exit, answer.status.as_str()), (0, "201"), "{name}: {answer:?}");
            assert!(nginx.uploaded(&name) == bytes, "{name}: what came is not what was sent");
        }
    }
    Ok(())
}

fn gets_parts_compressed_and_conditional() -> Shown {
    let (nginx, proxy) = pair()?;
    let file = Curl::new(&[])?.get(nginx.address, "/text.txt");
    let tag = format!("If-None-Match: {}", file.header("etag")[0]);
    let ways: [(&[&str], &str, &str); 8] = [
        (&["-r", "0-99"], "/text.txt", "206"),
        (&["-r", "-1"], "/text.txt", "206"),
        (&["-r", "0-9,100-199,199999-"], "/text.txt", "206"),
        (&["-r", "900000-"], "/text.txt", "416"),
        (&["--compressed"], "/text.txt", "200"),
        (&["-H", "Accept-Encoding: gzip"], "/text.txt", "200"),
        (&["-H", &tag], "/text.txt", "304"),
        (&["-I"], "/text.txt", "200"),
    ];
    for (arguments, is_tls, _) in VERSIONS {
        for (more, path, status) in ways {
            let direct = Curl::new(&["--http1.1"])?.with(more).get(nginx.address, path);
            let through = ask(&proxy, (arguments, is_tls), more, path)?;
            let what = format!("{path} with {arguments:?} {more:?}");
            assert_eq!(
                (direct.status.as_str(), through.status.as_str()),
                (status, status),
                "{what}"
            );
            assert_eq!((through.exit, direct.exit), (0, 0), "{what}");
            for name in ["content-range", "content-encoding", "etag", "content-length", "vary"] {
                assert_eq!(through.header(name), direct.header(name), "{what}: {name}");
            }
            // nginx draws the boundary between several parts anew each time.
            if !direct.text().contains("Content-Range") {
                let is_head = more == ["-I"];
                assert!(is_head || through.body == direct.body, "{what}: the bodies differ");
            }
            assert_eq!(through.body.is_empty(), direct.body.is_empty(), "{what}");
        }
    }
    Ok(())
}

fn follows_redirects() -> Shown {
    let (nginx, proxy) = pair()?;
    for (arguments, is_tls, _) in VERSIONS.into_iter().filter(|version| version.0 != ONLY_ONCE) {
        let through = ask(&proxy, (arguments, is_tls), &["-L"], "/moved")?;
        let direct = Curl::new(&[])?.get(nginx.address, "/1k");
        assert_eq!(through.status, "200", "{arguments:?}: {}", through.head);
        assert!(through.body == direct.body, "{arguments:?}");
        let far = ask(&proxy, (arguments, is_tls), &[], "/moved-far")?;
        assert_eq!(far.header("location"), ["http://elsewhere.test/1k"], "{arguments:?}");
    }
    Ok(())
}

fn is_closed_when_it_asks() -> Shown {
    let (_nginx, proxy) = pair()?;
    let mut to_nginx = HashSet::new();
    for is_tls in [false, true].into_iter().cycle().take(12) {
        let more = ["-H", "Connection: close"];
        let answer = ask(&proxy, (&["--http1.1"], is_tls), &more, "/connection")?;
        assert_eq!((answer.exit, answer.status.as_str()), (0, "200"));
        assert_eq!(answer.header("connection"), ["close"]);
        to_nginx.insert(answer.text());
    }
    // What the client asked for its connection is not asked for the pod's: each worker keeps one.
    assert!(to_nginx.len() < 12, "connections to nginx: {to_nginx:?}");
    Ok(())
}

fn tells_its_address() -> Shown {
    let nginx = Nginx::site("")?;
    let settings = Settings {
        proxy: "proxy_protocol: [\"127.0.0.2/32\"]",
        is_tls: true,
        ..Settings::to(nginx.address)
    };
    let proxy = settings.start()?;
    for (arguments, is_tls, _) in VERSIONS {
        let more = ["--interface", "127.0.0.2", "--haproxy-protocol"];
        let answer = ask(&proxy, (arguments, is_tls), &more, "/client")?;
        let scheme = if is_tls { "https" } else { "http" };
        assert_eq!(answer.exit, 0, "{arguments:?}");
        assert!(answer.text().starts_with(&format!("127.0.0.2|{scheme}|")), "{}", answer.text());
    }
    // Who must say it and does not is not served, nor who says it unasked.
    let without = ask(&proxy, (&[], false), &["--interface", "127.0.0.2"], "/client")?;
    assert_ne!(without.status, "200");
    let unasked = ask(&proxy, (&[], false), &["--haproxy-protocol"], "/client")?;
    assert_eq!(unasked.status, "400", "{unasked:?}");
    proxy.has_refused("proxy_protocol", 1.0);
    Ok(())
}
