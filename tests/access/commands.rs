//! `podmeter top` and `podmeter check` where an agent asks who reads.

use std::process::Output;

use agent::apiserver::{Fault, On};

use crate::authority::Ca;
use crate::client::{Client, NAME, bearer};
use crate::running::{Agent, Cluster, Place, TLS, until};

fn text(output: &Output) -> String {
    let parts = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8(parts).unwrap()
}

#[test]
fn top_comes_in_with_a_token_or_a_certificate() {
    let (ca, clients, cluster, place) =
        (Ca::new("ca"), Ca::new("clients"), Cluster::start(), Place::new());
    cluster.reader("s3cret-good", "alice", "/api/v1/snapshot");
    cluster.server.know("s3cret-bad", "mallory");
    place.certify(&ca);
    place.put("ca.crt", &ca.pem());
    place.put("clients.crt", &clients.pem());
    let alice = clients.client("alice", 7);
    place.put("alice.crt", &alice.chain);
    place.put("alice.key", &alice.key);
    place.put("good", "s3cret-good\n");
    place.put("bad", "s3cret-bad");
    place.put("odd", "s3cret\nodd");
    let config = format!("{TLS}  client_ca: clients.crt\naccess: {{mode: kubernetes}}\n");
    let agent = Agent::start(place, Some(&cluster), &config, "info");
    until("a first tick", || {
        let mut client = Client::secure(agent.address, &ca, None).ok()?;
        let reply = client.get("/api/v1/snapshot", &bearer("s3cret-good")).ok()?;
        (reply.status == 200).then_some(())
    });
    let url = format!("https://{}", agent.address);
    let top = |more: &[&str]| {
        let fixed = ["top", "--url", &url, "--ca", "ca.crt", "--server-name", NAME];
        let output = agent.place.output(&[&fixed[..], more].concat());
        (output.status.code(), text(&output))
    };
    for more in
        [&["--token-file", "good"][..], &["--certificate", "alice.crt", "--key", "alice.key"]]
    {
        let (code, said) = top(more);
        assert_eq!(code, Some(0), "{more:?}: {said}");
        assert!(said.contains("sees no containers on its node"), "{said}");
    }
    for (more, expected) in [
        (&[][..], "answers 401 Unauthorized: This needs a token"),
        (&["--token-file", "bad"], "answers 403 Forbidden: \"mallory\" may not read this"),
        (&["--token-file", "odd"], "holds no token"),
        (&["--token-file", "absent"], "cannot read the token file absent"),
        (&["--certificate", "alice.key", "--key", "alice.key"], "has no certificate"),
    ] {
        let (code, said) = top(more);
        assert_eq!(code, Some(1), "{more:?}: {said}");
        assert!(said.contains(expected) && !said.contains("s3cret"), "{more:?}: {said}");
    }
    let nameless = agent.place.output(&["top", "--url", &url, "--ca", "ca.crt"]);
    assert!(text(&nameless).contains("no TLS with"), "{}", text(&nameless));
    let blind = agent.place.output(&["top", "--url", &url]);
    assert!(text(&blind).contains("needs --ca FILE"), "{}", text(&blind));
    assert_eq!(agent.place.output(&["top", "--key", "alice.key"]).status.code(), Some(2));
}

#[test]
fn check_tries_the_reviews_and_reads_the_files() {
    let (ca, cluster, place) = (Ca::new("ca"), Cluster::start(), Place::new());
    let check = |config: &str| {
        let launch = place.launch(Some(&cluster), config);
        let arguments: Vec<&str> =
            ["check"].into_iter().chain(launch.iter().map(String::as_str)).collect();
        let output = place.output(&arguments);
        (output.status.code(), text(&output))
    };
    let (_, open) = check("");
    assert!(open.contains("open: whoever reaches the address can read"), "{open}");
    assert!(!open.contains("reviews"), "{open}");

    let (_, plain) = check("access: {mode: kubernetes}\n");
    assert!(plain.contains("tokens can be read on their way here"), "{plain}");
    place.certify(&ca);
    let config = format!("{TLS}access: {{mode: kubernetes}}\n");
    let (_, good) = check(&config);
    for line in ["ok        api: create tokenreviews", "ok        api: create subjectaccessreviews"]
    {
        assert!(good.contains(line), "{good}");
    }
    assert!(good.contains("the files can be used, good until 4096"), "{good}");

    place.put("tls.crt", &ca.host(&["other"]).chain);
    cluster.server.fault(On::resource("tokenreviews"), 1, Fault::status(403));
    let (code, bad) = check(&config);
    assert_eq!(code, Some(3), "{bad}");
    assert!(bad.contains("FAILED    api: create tokenreviews"), "{bad}");
    assert!(bad.contains("every reader with a token: nobody can be told who they are"), "{bad}");
    assert!(bad.contains("resources: [tokenreviews]"), "{bad}");
    assert!(bad.contains("tls.crt: the key is not that of the first certificate"), "{bad}");
}
