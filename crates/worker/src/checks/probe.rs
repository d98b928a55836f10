//! One check: asks an endpoint whether it is active. The name is resolved once, the guard checks all of its
//! addresses, and the connection is made to one of these addresses, so that no second resolution, proxy or
//! redirect can bypass the guard. Whatever the endpoint does, a check ends in time and takes little memory.

mod lookup;
mod target;
mod tls;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use flowmeter_core::ids::TenantId;
use futures::FutureExt;
use futures::future::ready;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::guard::{Guard, Internal};
use lookup::{Addresses, Lookups};
pub use lookup::{MAX_LOOKUPS, Resolve, system_resolver};
use target::{Host, Target};
pub use tls::CaError;

/// The body of the request to an endpoint.
const QUESTION: &[u8] = br#"{"action":"ping"}"#;
const USER_AGENT_TEXT: &str = concat!("flowmeter/", env!("CARGO_PKG_VERSION"));
/// The maximum size in bytes of an answer's body, and of its status line and headers together. The expected
/// answer has 30 bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The maximum number of addresses of a name that are tried, so that each has time to answer, and no name
/// makes the worker connect to many hosts.
const MAX_ADDRESSES: usize = 4;

/// Why an endpoint is not available, or why its availability is not known.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("expected an http or https URL without user and password")]
    Url,
    #[error("the name of the endpoint cannot be resolved: {0}")]
    Unresolved(io::Error),
    #[error(transparent)]
    Refused(#[from] Internal),
    #[error("cannot connect to the endpoint: {0}")]
    Unreachable(io::Error),
    #[error("the TLS handshake failed: {0}")]
    Tls(io::Error),
    #[error("the HTTP exchange failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("expected status 200, found {}", .0.as_u16())]
    Status(StatusCode),
    #[error("expected an answer of at most {MAX_ANSWER_BYTES} bytes")]
    TooLong,
    #[error("expected a JSON answer in which data.status is \"active\"")]
    NotActive,
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The worker itself is at fault, which says nothing about the endpoint.
    #[error("the endpoint was not checked: {0}")]
    NotChecked(io::Error),
}

impl Failure {
    /// The reason for the log. It never contains the URL, whose query may be a secret, and little of what the
    /// endpoint sent.
    pub fn reason(&self) -> String {
        /// Enough for a sentence and a host name.
        const MAX_CHARS: usize = 300;
        self.to_string().chars().take(MAX_CHARS).collect()
    }
}

/// Makes checks.
#[derive(Clone)]
pub struct Probe {
    guard: Guard,
    timeout: Duration,
    tls: TlsConnector,
    lookups: Arc<Lookups>,
}

impl Probe {
    /// A probe that gives endpoints `timeout` to answer, and resolves up to `max_lookups` names at a time.
    /// `ca` is a file with certificate authorities to trust in addition to the public ones.
    pub fn new(
        guard: Guard,
        timeout: Duration,
        ca: Option<&Path>,
        resolve: Resolve,
        max_lookups: usize,
    ) -> Result<Self, CaError> {
        let lookups = Arc::new(Lookups::new(resolve, max_lookups));
        Ok(Self { guard, timeout, tls: tls::connector(ca)?, lookups })
    }

    /// Asks the endpoint at `url` of a tenant whether it is active.
    pub async fn check(&self, tenant: TenantId, url: &str) -> Result<(), Failure> {
        let target = Target::parse(url).ok_or(Failure::Url)?;
        let known = |ip| ready(Ok(vec![SocketAddr::new(ip, target.port)])).boxed();
        let addresses = match &target.host {
            Host::Ipv4(address) => known((*address).into()),
            Host::Ipv6(address) => known((*address).into()),
            Host::Domain(name) => self.lookups.begin(tenant, name.clone(), target.port, self.timeout).await?,
        };
        // The endpoint's time begins here: so far the check has only waited for the worker itself.
        let deadline = Instant::now() + self.timeout;
        let asked = timeout_at(deadline, self.ask(&target, addresses, deadline)).await;
        asked.unwrap_or_else(|_| Err(stood_still(deadline).unwrap_or(Failure::TimedOut(self.timeout))))
    }

    async fn ask(&self, target: &Target, addresses: Addresses, deadline: Instant) -> Result<(), Failure> {
        let addresses = addresses.await?;
        // A name with one address that may not be reached is refused as a whole: no honest endpoint has such
        // a name.
        for address in &addresses {
            self.guard.check(address.ip())?;
        }
        let stream = connect(&addresses, deadline).await?;
        let answer = if target.is_tls {
            let name = target.server_name().ok_or(Failure::Url)?;
            let stream = self.tls.connect(name, stream).await.map_err(Failure::Tls)?;
            exchange(stream, target).await?
        } else {
            exchange(stream, target).await?
        };
        if is_active(&answer) { Ok(()) } else { Err(Failure::NotActive) }
    }
}

/// How late a deadline is usually noticed at most. It is noticed later if this process stood still. Then the
/// data that the endpoint sent meanwhile has not been read, so nothing is known about the endpoint.
const LATE: Duration = Duration::from_secs(1);

/// Whether this process is at fault for a deadline that has passed.
fn stood_still(deadline: Instant) -> Option<Failure> {
    let is_late = Instant::now() > deadline + LATE;
    is_late.then(|| Failure::NotChecked(io::Error::other("this process stood still")))
}

/// Whether the worker's own system lacks a resource: files, local ports or addresses, memory.
fn is_ours(error: &io::Error) -> bool {
    const OURS: [Errno; 6] =
        [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOMEM, Errno::NOBUFS, Errno::AGAIN];
    Errno::from_io_error(error).is_some_and(|error| OURS.contains(&error))
}

/// Connects to the first address that answers. Each has an equal part of the remaining time, so that a silent
/// address does not hide the next.
async fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Failure> {
    let addresses = &addresses[..addresses.len().min(MAX_ADDRESSES)];
    let mut failure =
        Failure::Unreachable(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    let mut theirs = None;
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let left = u32::try_from(left).expect("a few");
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        let until = Instant::now() + share;
        match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) if is_ours(&error) => failure = Failure::NotChecked(error),
            Ok(Err(error)) => theirs = Some(error),
            Err(elapsed) => match stood_still(until) {
                Some(ours) => failure = ours,
                None => theirs = Some(io::Error::new(io::ErrorKind::TimedOut, elapsed)),
            },
        }
    }
    // The failure of an address that was tried says more than one of the worker itself.
    Err(theirs.map_or(failure, Failure::Unreachable))
}

/// Sends the request over a connection, and returns the body of an answer with status 200. The connection
/// ends with the future.
async fn exchange<S>(stream: S, target: &Target) -> Result<Vec<u8>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = request(target).ok_or(Failure::Url)?;
    let mut http = http1::Builder::new();
    http.max_buf_size(MAX_ANSWER_BYTES);
    let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await?;
    let asking = async {
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(Failure::Status(answer.status()));
        }
        read(answer).await
    };
    let driving = async {
        // How the connection ended shows in the answer, which may not have been read yet.
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        answer = pin!(asking) => answer,
        never = pin!(driving) => match never {},
    }
}

fn request(target: &Target) -> Option<Request<Full<Bytes>>> {
    Request::builder()
        .method(Method::POST)
        .uri(&target.path)
        .header(HOST, &target.authority)
        .header(USER_AGENT, USER_AGENT_TEXT)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .header(CONNECTION, "close")
        .body(Full::from(QUESTION))
        .ok()
}

async fn read(answer: Response<Incoming>) -> Result<Vec<u8>, Failure> {
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() + data.len() > MAX_ANSWER_BYTES {
            return Err(Failure::TooLong);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

fn is_active(answer: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(answer)
        .is_ok_and(|answer| answer.pointer("/data/status").is_some_and(|status| status == "active"))
}

#[cfg(test)]
mod tests;
