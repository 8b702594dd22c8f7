use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Mutex;

use super::super::testing::{Ca, Pair};
use super::*;
use crate::proxy::control::Told;
use crate::proxy::route::Route;
use crate::proxy::service::{Service, ServiceKey};
use crate::proxy::settings::ClientCertificates;

/// Writes down what it is told; finds a fault in an authority that is empty.
#[derive(Default)]
struct Listener {
    certificates: Mutex<Vec<Vec<Certificate>>>,
    authorities: Mutex<Vec<Authorities>>,
}

impl Listener {
    fn counts(&self) -> (usize, usize) {
        (self.certificates.lock().unwrap().len(), self.authorities.lock().unwrap().len())
    }

    fn chain(&self) -> String {
        let told = self.certificates.lock().unwrap();
        String::from_utf8(told.last().unwrap()[0].chain.to_vec()).unwrap()
    }
}

impl ToldTls for Listener {
    fn certificates(&self, source: Source, certificates: Vec<Certificate>) -> Vec<Fault> {
        assert_eq!(source, Source::File);
        self.certificates.lock().unwrap().push(certificates);
        Vec::new()
    }

    fn authorities(&self, authorities: Authorities) -> Vec<Fault> {
        let broken = authorities.ca.is_empty().then_some(Broken::Empty("authority"));
        let faults = broken.iter().map(|broken| broken.fault(&authorities.origin)).collect();
        self.authorities.lock().unwrap().push(authorities);
        faults
    }
}

impl Told for Listener {
    fn routes(&self, _: Source, _: Vec<Route>) -> Vec<Fault> {
        Vec::new()
    }
    fn service(&self, _: &ServiceKey, _: Option<Service>) {}
    fn wanted(&self) -> watch::Receiver<Arc<BTreeSet<ServiceKey>>> {
        watch::Sender::default().subscribe()
    }
}

/// A volume as the kubelet makes it: files are links through `..data`, which is swapped.
struct Volume(tempfile::TempDir);

impl Volume {
    fn new(files: &[(&str, &str)]) -> Self {
        let volume = Self(tempfile::tempdir().unwrap());
        for (name, _) in files {
            symlink(format!("..data/{name}"), volume.path(name)).unwrap();
        }
        volume.swap("..1", files);
        volume
    }

    fn swap(&self, version: &str, files: &[(&str, &str)]) {
        fs::create_dir(self.path(version)).unwrap();
        for (name, text) in files {
            fs::write(self.path(version).join(name), text).unwrap();
        }
        symlink(version, self.path("..new")).unwrap();
        fs::rename(self.path("..new"), self.path("..data")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn settings(&self, crl: bool) -> Tls {
        let files =
            CertificateFiles { certificate: self.path("tls.crt"), key: self.path("tls.key") };
        let authorities = AuthoritiesFrom::Files {
            ca: self.path("ca.crt"),
            crl: crl.then(|| self.path("ca.crl")),
        };
        Tls {
            certificates: vec![files],
            clients: Some(ClientCertificates { authorities, required: true }),
            backend_ca: None,
        }
    }
}

fn pair() -> Pair {
    Ca::new("ca").host(&["shop.example"])
}

fn reasons(faults: &[Fault]) -> Vec<&'static str> {
    faults.iter().map(|fault| fault.reason).collect()
}

#[test]
fn swapped_volume_is_told_and_an_unchanged_one_is_not() {
    let (old, new) = (pair(), pair());
    let volume = Volume::new(&[("tls.crt", &old.chain), ("tls.key", &old.key), ("ca.crt", "ca")]);
    let mut files = Files::new(&volume.settings(false));
    let told = Listener::default();
    assert_eq!(files.load(&told), []);
    assert_eq!(files.load(&told), []);
    assert_eq!((told.counts(), told.chain()), ((1, 1), old.chain));
    volume.swap("..2", &[("tls.crt", &new.chain), ("tls.key", &new.key), ("ca.crt", "ca")]);
    assert_eq!(files.load(&told), []);
    assert_eq!((told.counts(), told.chain()), ((2, 1), new.chain));
}

#[test]
fn unreadable_file_keeps_what_it_held() {
    let pair = pair();
    let all =
        [("tls.crt", &*pair.chain), ("tls.key", &pair.key), ("ca.crt", "ca"), ("ca.crl", "crl")];
    let volume = Volume::new(&all);
    let mut files = Files::new(&volume.settings(true));
    let told = Listener::default();
    files.load(&told);
    volume.swap("..2", &[("tls.crt", &pair.chain), ("ca.crt", "new")]);
    let faults = files.load(&told);
    assert_eq!(reasons(&faults), ["unreadable", "unreadable"]);
    assert!(
        faults[0].origin.name.ends_with("tls.key") && faults[1].origin.name.ends_with("ca.crl")
    );
    // The key is as it was, and the new authority goes with the list there was.
    assert_eq!(told.counts(), (1, 2));
    let authorities = told.authorities.lock().unwrap().last().cloned().unwrap();
    assert_eq!((&*authorities.ca, authorities.crl.as_deref()), (&b"new"[..], Some(&b"crl"[..])));
}

#[test]
fn authorities_are_never_told_without_their_list() {
    let volume = Volume::new(&[("ca.crt", "ca")]);
    let mut files = Files::new(&volume.settings(true));
    let told = Listener::default();
    assert_eq!(reasons(&files.load(&told)), ["unreadable", "unreadable", "unreadable"]);
    assert_eq!(told.counts(), (0, 0));
}

#[test]
fn faults_stay_until_the_file_is_mended() {
    let volume = Volume::new(&[("ca.crt", "")]);
    let mut settings = volume.settings(false);
    settings.certificates.clear();
    let mut files = Files::new(&settings);
    let told = Listener::default();
    assert_eq!(reasons(&files.load(&told)), ["empty"]);
    assert_eq!(reasons(&files.load(&told)), ["empty"]);
    assert_eq!(told.counts(), (0, 1));
    volume.swap("..2", &[("ca.crt", "ca")]);
    assert_eq!(files.load(&told), []);
}

#[test]
fn too_large_file_is_not_read() {
    let large = "x".repeat((1 << 20) + 1);
    let volume = Volume::new(&[("ca.crt", &large)]);
    let mut settings = volume.settings(false);
    settings.certificates.clear();
    let told = Listener::default();
    assert_eq!(reasons(&Files::new(&settings).load(&told)), ["unreadable"]);
    assert_eq!(told.counts(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn running_it_sees_a_change_within_a_second_and_ends_when_told() {
    let (old, new) = (pair(), pair());
    let volume = Volume::new(&[("tls.crt", &old.chain), ("tls.key", &old.key), ("ca.crt", "ca")]);
    let files = Files::new(&volume.settings(false));
    let mut faults = files.faults();
    let told = Arc::new(Listener::default());
    let stop = CancellationToken::new();
    let run = files.run(Arc::clone(&told) as Arc<dyn ToldTls>, stop.clone());
    let test = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(told.counts(), (1, 1));
        volume.swap("..2", &[("tls.crt", &new.chain), ("ca.crt", "ca")]);
        faults.changed().await.unwrap();
        assert_eq!(reasons(&faults.borrow_and_update()), ["unreadable"]);
        assert_eq!(told.chain(), new.chain);
        volume.swap("..3", &[("tls.crt", &new.chain), ("tls.key", &new.key), ("ca.crt", "ca")]);
        faults.changed().await.unwrap();
        assert!(faults.borrow_and_update().is_empty());
        stop.cancel();
    };
    tokio::join!(run, test);
}
