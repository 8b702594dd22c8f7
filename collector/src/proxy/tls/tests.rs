use std::path::PathBuf;

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::testing::{Ca, List, Pair, authorities, origin, shake, shake_for};
use super::*;
use crate::proxy::settings::{AuthoritiesFrom, ClientCertificates, Tls};

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// An acceptor for `shop.example`; `required` says whether client certificates are.
fn acceptor(ca: &Ca, required: Option<bool>) -> Acceptor {
    let authorities = AuthoritiesFrom::Files { ca: PathBuf::new(), crl: None };
    let clients = required.map(|required| ClientCertificates { authorities, required });
    let tls = Tls { clients, ..Tls::default() };
    let acceptor = Acceptor::new(&tls, 20_000, Protocols::Http2).unwrap();
    let shop = ca.host(&["shop.example"]).told(Source::File, "shop", &[]);
    assert_eq!(acceptor.certificates(Source::File, vec![shop]), []);
    acceptor
}

/// Told who signs, without a fault.
fn tell(acceptor: &Acceptor, ca: &str, crl: Option<&str>) {
    assert_eq!(acceptor.authorities(authorities(ca, crl)), []);
}

async fn session(acceptor: &Acceptor, connector: &TlsConnector) -> Result<Session, Refusal> {
    shake(acceptor, connector).await.0.map(|(_, session)| session)
}

fn reasons(faults: &[Fault]) -> Vec<&'static str> {
    faults.iter().map(|fault| fault.reason).collect()
}

#[tokio::test]
async fn handshake_tells_protocol_and_host() {
    let ca = Ca::new("ca");
    let acceptor = acceptor(&ca, None);
    for version in BOTH {
        let session = session(&acceptor, &ca.connector(None, &[version])).await.unwrap();
        assert!(session.http2);
        assert_eq!(session.server_name.as_deref(), Some("shop.example"));
        assert_eq!(session.client, None);
        assert!(!session.revoked.is_cancelled());
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_refused_as_such() {
    let acceptor = acceptor(&Ca::new("ca"), None);
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"", b"\x16\x03\x01\x00\x02\x01\x00"] {
        let (near, mut far) = tokio::io::duplex(1024);
        far.write_all(bytes).await.unwrap();
        far.shutdown().await.unwrap();
        assert_eq!(acceptor.accept(near).await.err(), Some(Refusal::Handshake), "{bytes:?}");
    }
    let none = Acceptor::new(&Tls::default(), 20_000, Protocols::Http2).unwrap();
    let ca = Ca::new("ca");
    assert_eq!(session(&none, &ca.connector(None, BOTH)).await.err(), Some(Refusal::Handshake));
}

#[tokio::test]
async fn new_certificate_is_shown_to_the_next_client() {
    let ca = Ca::new("ca");
    let acceptor = acceptor(&ca, None);
    let connector = ca.connector(None, BOTH);
    let renewed = ca.host(&["shop.example"]);
    let told = vec![renewed.told(Source::File, "shop", &[])];
    assert_eq!(acceptor.certificates(Source::File, told), []);
    let client = shake(&acceptor, &connector).await.1.unwrap();
    assert_eq!(client.get_ref().1.peer_certificates().unwrap(), renewed.chain());
}

#[tokio::test]
async fn required_certificate_is_required_and_told() {
    let ca = Ca::new("ca");
    let acceptor = acceptor(&ca, Some(true));
    tell(&acceptor, &ca.pem(), None);
    for version in BOTH {
        let alice = ca.connector(Some(&ca.client("al\"ice", 0x1234)), &[version]);
        let session = session(&acceptor, &alice).await.unwrap();
        let client = session.client.as_deref().unwrap();
        assert_eq!(&*client.subject, "CN=al\\\"ice,O=Shop");
        assert_eq!(&*client.serial, "1234");
        let header = client.forwarded();
        let expected =
            format!("Hash={};Serial=1234;Subject=\"CN=al\\\\\\\"ice,O=Shop\"", client.fingerprint);
        assert_eq!(header.to_str().unwrap(), expected);

        let nobody = ca.connector(None, &[version]);
        let refused = self::session(&acceptor, &nobody).await.err();
        assert_eq!(refused, Some(Refusal::ClientCertificate));
        let stranger = ca.connector(Some(&Ca::new("other").client("eve", 1)), &[version]);
        let refused = self::session(&acceptor, &stranger).await.err();
        assert_eq!(refused, Some(Refusal::ClientCertificate));
    }
}

#[tokio::test]
async fn optional_certificate_may_be_absent_but_not_bad() {
    let ca = Ca::new("ca");
    let acceptor = acceptor(&ca, Some(false));
    let nobody = ca.connector(None, BOTH);
    let alice = ca.connector(Some(&ca.client("alice", 1)), BOTH);
    // Nobody said who signs: none is asked for one, and none is believed.
    assert_eq!(session(&acceptor, &alice).await.unwrap().client, None);
    tell(&acceptor, &ca.pem(), None);
    assert_eq!(session(&acceptor, &nobody).await.unwrap().client, None);
    assert!(session(&acceptor, &alice).await.unwrap().client.is_some());
    let eve = ca.connector(Some(&Ca::new("other").client("eve", 1)), BOTH);
    assert_eq!(session(&acceptor, &eve).await.err(), Some(Refusal::ClientCertificate));
}

#[tokio::test]
async fn without_authorities_required_means_nobody() {
    let ca = Ca::new("ca");
    let acceptor = acceptor(&ca, Some(true));
    let alice = ca.connector(Some(&ca.client("alice", 1)), BOTH);
    assert_eq!(session(&acceptor, &alice).await.err(), Some(Refusal::ClientCertificate));
    for bad in ["", "-----BEGIN CERTIFICATE-----\n", &ca.client("alice", 1).key] {
        assert_eq!(acceptor.authorities(authorities(bad, None)).len(), 1);
        assert_eq!(session(&acceptor, &alice).await.err(), Some(Refusal::ClientCertificate));
    }
}

#[tokio::test]
async fn list_cuts_off_exactly_the_revoked_connection() {
    let ca = Ca::new("ca");
    let acceptor = acceptor(&ca, Some(true));
    tell(&acceptor, &ca.pem(), None);
    let alice = ca.connector(Some(&ca.client("alice", 1)), BOTH);
    let bob = ca.connector(Some(&ca.client("bob", 2)), BOTH);
    let (first, second) =
        (session(&acceptor, &alice).await.unwrap(), session(&acceptor, &alice).await.unwrap());
    let (server, client) = shake(&acceptor, &bob).await;
    let ((mut server, other), mut client) = (server.unwrap(), client.unwrap());

    tell(&acceptor, &ca.pem(), Some(&ca.revoking(&[])));
    assert!(!first.revoked.is_cancelled());
    tell(&acceptor, &ca.pem(), Some(&ca.revoking(&[1])));
    assert!(first.revoked.is_cancelled() && second.revoked.is_cancelled());
    assert!(!other.revoked.is_cancelled());
    assert_eq!(acceptor.revoked(), 2);
    server.write_all(b"x").await.unwrap();
    client.read_exact(&mut [0]).await.unwrap();

    assert_eq!(session(&acceptor, &alice).await.err(), Some(Refusal::ClientCertificate));
    assert!(session(&acceptor, &bob).await.is_ok());
    // Taken back, as after a mistake: new connections are good, the cut one stays cut.
    tell(&acceptor, &ca.pem(), Some(&ca.revoking(&[])));
    let again = session(&acceptor, &alice).await.unwrap();
    assert!(!again.revoked.is_cancelled() && first.revoked.is_cancelled());
}

#[tokio::test]
async fn connections_of_an_authority_that_is_no_longer_trusted_are_cut_off() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let acceptor = acceptor(&old, Some(true));
    tell(&acceptor, &format!("{}{}", old.pem(), new.pem()), None);
    let before =
        session(&acceptor, &old.connector(Some(&old.client("alice", 1)), BOTH)).await.unwrap();
    let after =
        session(&acceptor, &old.connector(Some(&new.client("alice", 1)), BOTH)).await.unwrap();
    tell(&acceptor, &new.pem(), None);
    assert!(before.revoked.is_cancelled() && !after.revoked.is_cancelled());
}

#[tokio::test]
async fn handshake_that_a_change_overtook_is_checked_again() {
    let ca = Ca::new("ca");
    let acceptor = acceptor(&ca, Some(true));
    tell(&acceptor, &ca.pem(), None);
    let (alice, bob) = (ca.client("alice", 1).chain(), ca.client("bob", 2).chain());
    let before = acceptor.clients.policy();
    tell(&acceptor, &ca.pem(), Some(&ca.revoking(&[1])));
    let late = acceptor.clients.register(&alice, &before);
    assert_eq!(late.err(), Some(Refusal::ClientCertificate));
    let late = acceptor.clients.register(&bob, &before).unwrap();
    assert_eq!(acceptor.clients.open(), (1, 1));
    drop(late);
    assert_eq!(acceptor.clients.open(), (0, 0));
}

#[tokio::test]
async fn connections_count_until_they_are_dropped_and_up_to_the_bound() {
    let ca = Ca::new("ca");
    let mut acceptor = acceptor(&ca, Some(true));
    acceptor.clients = Clients::new(
        Some(&ClientCertificates {
            authorities: AuthoritiesFrom::Files { ca: PathBuf::new(), crl: None },
            required: true,
        }),
        Arc::clone(&acceptor.certificates),
        2,
    )
    .unwrap();
    tell(&acceptor, &ca.pem(), None);
    let alice = ca.connector(Some(&ca.client("alice", 1)), BOTH);
    let first = session(&acceptor, &alice).await.unwrap();
    let second = session(&acceptor, &alice).await.unwrap();
    assert_eq!(acceptor.clients.open(), (2, 1));
    assert_eq!(session(&acceptor, &alice).await.err(), Some(Refusal::Connections));
    drop(first);
    assert_eq!(acceptor.clients.open(), (1, 1));
    // Cut off and dropped counts once.
    tell(&acceptor, &ca.pem(), Some(&ca.revoking(&[1])));
    assert_eq!(acceptor.clients.open(), (1, 0));
    drop(second);
    assert_eq!(acceptor.clients.open(), (0, 0));
}

#[tokio::test]
async fn bad_authorities_or_lists_keep_the_last_good_ones() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let forged = Ca::new("ca").revoking(&[]);
    let acceptor = acceptor(&ca, Some(true));
    tell(&acceptor, &ca.pem(), Some(&ca.revoking(&[1])));
    let bob = ca.connector(Some(&ca.client("bob", 2)), BOTH);
    let open = session(&acceptor, &bob).await.unwrap();
    for (pem, crl, reason) in [
        ("", None, "empty"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None, "unusable"),
        ("-----BEGIN CERTIFICATE-----\n", None, "pem"),
        (&*ca.pem(), Some(""), "empty"),
        (&ca.pem(), Some("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"), "unusable"),
        (&ca.pem(), Some(&*forged), "crl_signature"),
        (&ca.pem(), Some(&other.revoking(&[2])), "crl_other"),
        (&other.pem(), Some(&ca.revoking(&[])), "crl_other"),
    ] {
        assert_eq!(reasons(&acceptor.authorities(authorities(pem, crl))), [reason]);
        let alice = ca.connector(Some(&ca.client("alice", 1)), BOTH);
        assert_eq!(session(&acceptor, &alice).await.err(), Some(Refusal::ClientCertificate));
        assert!(session(&acceptor, &bob).await.is_ok());
    }
    assert!(!open.revoked.is_cancelled());
}

#[tokio::test]
async fn expired_list_is_used_and_told() {
    let ca = Ca::new("ca");
    let acceptor = acceptor(&ca, Some(true));
    let crl = ca.list(&List { serials: &[1], issued: 2019, ends: 2020 });
    let faults = acceptor.authorities(authorities(&ca.pem(), Some(&crl)));
    assert_eq!(reasons(&faults), ["expired"]);
    assert_eq!(faults[0].origin, origin(Source::File, "ca.crt"));
    assert!(acceptor.revocation_expiry().unwrap() < SystemTime::now());
    let alice = ca.connector(Some(&ca.client("alice", 1)), BOTH);
    assert_eq!(session(&acceptor, &alice).await.err(), Some(Refusal::ClientCertificate));
    assert!(session(&acceptor, &ca.connector(Some(&ca.client("bob", 2)), BOTH)).await.is_ok());
}

#[tokio::test]
async fn of_two_lists_of_an_authority_the_newer_counts() {
    let ca = Ca::new("ca");
    let acceptor = acceptor(&ca, Some(true));
    let old = ca.list(&List { serials: &[], issued: 2019, ends: 4000 });
    let new = ca.list(&List { serials: &[1], issued: 2020, ends: 4000 });
    let alice = ca.connector(Some(&ca.client("alice", 1)), BOTH);
    for lists in [format!("{old}{new}"), format!("{new}{old}")] {
        tell(&acceptor, &ca.pem(), Some(&lists));
        assert_eq!(session(&acceptor, &alice).await.err(), Some(Refusal::ClientCertificate));
    }
}

#[tokio::test]
async fn authority_without_a_list_is_told_when_another_has_one() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let acceptor = acceptor(&ca, Some(true));
    let both = format!("{}{}", ca.pem(), other.pem());
    let faults = acceptor.authorities(authorities(&both, Some(&ca.revoking(&[]))));
    assert_eq!(reasons(&faults), ["crl_missing"]);
    assert!(faults[0].sentence.contains("CN=other"), "{}", faults[0].sentence);
    let unchecked = ca.connector(Some(&other.client("alice", 1)), BOTH);
    assert_eq!(session(&acceptor, &unchecked).await.err(), Some(Refusal::ClientCertificate));
    assert!(session(&acceptor, &ca.connector(Some(&ca.client("bob", 1)), BOTH)).await.is_ok());
}

#[tokio::test]
async fn revoked_authority_in_between_takes_its_clients_with_it() {
    let root = Ca::new("root");
    let middle = root.intermediate("middle");
    let acceptor = acceptor(&root, Some(true));
    tell(&acceptor, &root.pem(), None);
    let mut pair: Pair = middle.client("alice", 1);
    pair.chain.push_str(&middle.pem());
    let alice = root.connector(Some(&pair), BOTH);
    let session = session(&acceptor, &alice).await.unwrap();
    let lists = |revoked: &str| format!("{}{}", middle.revoking(&[]), revoked);
    tell(&acceptor, &root.pem(), Some(&lists(&root.revoking(&[]))));
    assert!(!session.revoked.is_cancelled());
    let revoking = root.revoking_certificate(&middle);
    tell(&acceptor, &root.pem(), Some(&lists(&revoking)));
    assert!(session.revoked.is_cancelled());
}

/// How the second of two handshakes was made.
async fn second(acceptor: &Acceptor, connector: &TlsConnector) -> Option<HandshakeKind> {
    let mut kind = None;
    for _ in 0..2 {
        let (server, client) = shake(acceptor, connector).await;
        let ((mut server, _session), mut client) = (server.unwrap(), client.unwrap());
        // Tickets of TLS 1.3 come with the first data.
        server.write_all(b"x").await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
        kind = client.get_ref().1.handshake_kind();
    }
    kind
}

#[tokio::test]
async fn sessions_are_resumed_only_without_client_certificates() {
    let ca = Ca::new("ca");
    for version in BOTH {
        let connector = ca.connector(None, &[version]);
        let kind = second(&acceptor(&ca, None), &connector).await;
        assert_eq!(kind, Some(HandshakeKind::Resumed), "{version:?}");
        for required in [true, false] {
            let acceptor = acceptor(&ca, Some(required));
            tell(&acceptor, &ca.pem(), None);
            let connector = ca.connector(Some(&ca.client("alice", 1)), &[version]);
            let kind = second(&acceptor, &connector).await;
            assert_ne!(kind, Some(HandshakeKind::Resumed), "{version:?}");
        }
    }
}

#[tokio::test]
async fn host_decides_which_certificate_is_shown() {
    let ca = Ca::new("ca");
    let acceptor = acceptor(&ca, None);
    let (wild, exact) = (ca.host(&["*.shop.example"]), ca.host(&["api.shop.example"]));
    let told =
        vec![wild.told(Source::Ingress, "wild", &[]), exact.told(Source::Ingress, "exact", &[])];
    assert_eq!(acceptor.certificates(Source::Ingress, told), []);
    let connector = ca.connector(None, BOTH);
    for (host, pair) in [("www.shop.example", &wild), ("api.shop.example", &exact)] {
        let client = shake_for(&acceptor, &connector, host).await.1.unwrap();
        assert_eq!(client.get_ref().1.peer_certificates().unwrap(), pair.chain(), "{host}");
    }
    // Shown the default one, which is not good for this.
    let client = shake_for(&acceptor, &connector, "a.b.shop.example").await.1;
    assert!(client.is_err());
}
