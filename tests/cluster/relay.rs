//! A way to the API server that can be blocked, while the cluster itself goes on.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Forwards connections to the API server, or cuts them.
pub(crate) struct Relay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_cut: bool,
    open: Vec<TcpStream>,
}

impl Relay {
    /// A relay to this address, open.
    pub(crate) fn new(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        // Ends with the process; it waits for connections only.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                if state.is_cut {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&server) else { continue };
                for stream in [&client, &server] {
                    state.open.extend(stream.try_clone());
                }
                pump(&client, &server);
                pump(&server, &client);
            }
        });
        Self { address, state }
    }

    /// Closes what is open and whatever comes.
    pub(crate) fn cut(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_cut = true;
        for stream in state.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Forwards again.
    pub(crate) fn mend(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_cut = false;
    }

    /// A copy of a kubeconfig that goes this way. The certificate is good for any port of this address.
    pub(crate) fn kubeconfig(&self, original: &Path, folder: &Path) -> PathBuf {
        let text = fs::read_to_string(original).expect("a kubeconfig");
        let text = text.replace(
            &format!("https://{}", server(original)),
            &format!("https://{}", self.address),
        );
        let copy = folder.join("relay.kubeconfig");
        fs::write(&copy, text).expect("it can be written");
        copy
    }
}

/// Host and port of the API server in a kubeconfig.
pub(crate) fn server(kubeconfig: &Path) -> String {
    let text = fs::read_to_string(kubeconfig).expect("a kubeconfig");
    let (_, rest) = text.split_once("server: \"https://").expect("an address");
    rest.split('"').next().expect("an address").to_owned()
}

fn pump(from: &TcpStream, to: &TcpStream) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}
