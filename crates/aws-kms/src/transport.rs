//! One POST at a time, over HTTP/1.1, ended by its deadline.
//!
//! No redirects, no proxies, no cookies, no kept connections. Names are looked up by the platform on a thread of their own, so
//! that a slow resolver costs no more than the deadline.

use super::error::Reach;
use super::place::{LOCALHOST, Place};
use super::{Error, Result};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Url, redirect, retry, tls};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;
use tokio::runtime::{Builder, Handle, Runtime};
use zeroize::Zeroizing;

/// The headers of a request.
pub(super) type Headers = HeaderMap;

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The code that the service gives an error in a header.
    pub(super) code: Option<String>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// A client of one endpoint, and the runtime that drives it while a call waits.
pub(super) struct Transport {
    client: Client,
    url: Url,
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl Transport {
    /// Reads the platform's roots, unless the endpoint is plain.
    pub(super) fn new(place: &Place) -> Result<Self> {
        Self::build(place, client(place))
    }

    /// With a resolver of the test.
    #[cfg(test)]
    pub(super) fn resolving<R: reqwest::dns::Resolve + 'static>(place: &Place, resolver: R) -> Result<Self> {
        Self::build(place, client(place).dns_resolver(resolver))
    }

    fn build(place: &Place, client: ClientBuilder) -> Result<Self> {
        let client =
            client.build().map_err(|_| Error::Setup("the trusted certificates of this machine cannot be read"))?;
        let mut builder = Builder::new_current_thread();
        let builder = builder.enable_all().max_blocking_threads(MAX_LOOKUPS).thread_name("aws-kms-names");
        let runtime = builder.build().map_err(|_| Error::Setup("no event loop"))?;
        Ok(Self { client, url: place.url().clone(), runtime: Some(runtime) })
    }

    /// Sends a request and waits for the whole answer, at most until `end`.
    pub(super) fn post(&self, headers: Headers, body: Vec<u8>, end: Instant) -> Result<Answer> {
        if Handle::try_current().is_ok() {
            return Err(Error::Internal("AWS KMS is called from asynchronous code"));
        }
        let runtime = self.runtime.as_ref().ok_or(Error::Internal("the event loop is gone"))?;
        let request = self.client.post(self.url.clone()).headers(headers).body(body);
        let exchange = async {
            let answer = request.send().await.map_err(|error| unreachable(&error))?;
            read(answer).await
        };
        runtime.block_on(async { tokio::time::timeout_at(end.into(), exchange).await }).unwrap_or(Err(Error::NoAnswer))
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A lookup that hangs is not waited for.
            runtime.shutdown_background();
        }
    }
}

/// Makes headers of names and values; all but the plain ones are kept out of traces.
pub(super) fn headers(pairs: &[(&str, &str)]) -> Result<Headers> {
    let refused = |_| Error::Internal("a header could not be made");
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let mut value = HeaderValue::from_str(value).map_err(|_| refused(()))?;
        value.set_sensitive(matches!(*name, "authorization" | "x-amz-security-token"));
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused(()))?, value);
    }
    Ok(headers)
}

fn client(place: &Place) -> ClientBuilder {
    let client = Client::builder()
        .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .http1_only()
        .pool_max_idle_per_host(0)
        .tls_version_min(tls::Version::TLS_1_2);
    if !place.is_plain() {
        return client.https_only(true);
    }
    // Port 0 stands for the URL's.
    let here = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
    client.tls_certs_only([]).resolve_to_addrs(LOCALHOST, &here)
}

async fn read(mut answer: reqwest::Response) -> Result<Answer> {
    let status = answer.status().as_u16();
    let code = answer.headers().get("x-amzn-errortype").and_then(|code| code.to_str().ok()).map(str::to_owned);
    // Room for all, so that no copy of a key stays behind where it grew.
    let mut body = Zeroizing::new(Vec::with_capacity(MAX_BODY_LEN));
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + chunk.len() > MAX_BODY_LEN {
            return Err(Error::Malformed("it is longer than 64 KiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, code, body })
}

fn unreachable(error: &reqwest::Error) -> Error {
    if error.is_dns() {
        return Error::Unreachable(Reach::Name);
    }
    let mut source = std::error::Error::source(error);
    let mut kind = None;
    while let Some(inner) = source {
        let io = inner.downcast_ref::<std::io::Error>();
        kind = io.map(std::io::Error::kind).or(kind);
        // An error of I/O does not count what it wraps among its sources.
        source = match io.and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    Error::Unreachable(match kind {
        Some(ErrorKind::InvalidData | ErrorKind::InvalidInput) => Reach::Tls,
        Some(ErrorKind::ConnectionRefused) => Reach::Refused,
        Some(ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe) => Reach::Broken,
        Some(ErrorKind::UnexpectedEof) => Reach::Broken,
        // It closed without a word, or in the middle of one.
        None if !error.is_connect() => Reach::Broken,
        _ => Reach::Network,
    })
}

/// The longest answer.
const MAX_BODY_LEN: usize = 64 * 1024;
/// The most names looked up at once; more wait, within their deadlines.
const MAX_LOOKUPS: usize = 4;
