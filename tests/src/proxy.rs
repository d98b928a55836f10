//! A TCP proxy that injects faults between a client and a server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy to one address.
pub struct Proxy {
    address: SocketAddr,
    faults: Arc<Faults>,
}

struct Faults {
    /// Whether the data that clients send is discarded.
    discard: AtomicBool,
    /// Whether connections are refused.
    refuse: AtomicBool,
    /// Incremented to close all open connections.
    cut: watch::Sender<u64>,
}

impl Proxy {
    /// Starts a proxy to `target`, such as `127.0.0.1:5672`.
    pub async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let faults = Arc::new(Faults {
            discard: AtomicBool::new(false),
            refuse: AtomicBool::new(false),
            cut: watch::channel(0).0,
        });
        let shared = faults.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !shared.refuse.load(Ordering::SeqCst) {
                    tokio::spawn(forward(client, target.clone(), shared.clone()));
                }
            }
        });
        Self { address, faults }
    }

    /// Replaces the host and port of a URL with those of the proxy.
    pub fn in_url(&self, url: &str) -> String {
        let (head, tail) = url.rsplit_once('@').expect("the URL has credentials");
        let path = tail.find('/').map_or("", |at| &tail[at..]);
        format!("{head}@{}{path}", self.address)
    }

    /// Discards all further data that clients send.
    pub fn discard_requests(&self) {
        self.faults.discard.store(true, Ordering::SeqCst);
    }

    /// Closes every connection and refuses new ones.
    pub fn go_away(&self) {
        self.faults.refuse.store(true, Ordering::SeqCst);
        self.faults.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Ends all faults.
    pub fn recover(&self) {
        self.faults.discard.store(false, Ordering::SeqCst);
        self.faults.refuse.store(false, Ordering::SeqCst);
    }
}

async fn forward(client: TcpStream, target: String, faults: Arc<Faults>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let mut cut = faults.cut.subscribe();
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    tokio::select! {
        () = copy(client_reads, server_writes, Some(&faults.discard)) => {}
        () = copy(server_reads, client_writes, None) => {}
        _ = cut.changed() => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    discard: Option<&AtomicBool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let is_discarded = discard.is_some_and(|discard| discard.load(Ordering::SeqCst));
        if !is_discarded && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
