//! TLS, and what only a process of its own can show.

use super::server::Reply;
use super::*;

/// The port of the child's service: a test that finds it is its own child, in a process with other variables.
fn port_of_the_child() -> Option<String> {
    std::env::var("KMS_TEST_PORT").ok()
}

/// Runs a test of this binary again as its child.
fn child(test: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let path = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let run = command.args(["--exact", &path]).envs(variables.iter().copied()).output().unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
fn a_certificate_that_is_not_trusted_is_refused_at_once() {
    let (_peer, hello) = Peer::start("tls");
    let kms = kms(KEY, &format!("https://127.0.0.1:{}", hello["port"]), patient());
    assert_eq!(kms.describe().unwrap_err(), Error::Unreachable(Reach::Tls));
    assert_eq!(kms.calls(), 1);
}

#[test]
fn a_certificate_of_the_platforms_roots_is_taken() {
    if let Some(port) = port_of_the_child() {
        let kms = kms(KEY, &format!("https://127.0.0.1:{port}"), patient());
        assert_eq!(kms.describe().unwrap_err(), Error::KeyMissing);
        return;
    }
    let (_peer, hello) = Peer::start("tls");
    let (port, root) = (hello["port"].to_string(), hello["root"].as_str().unwrap());
    child("a_certificate_of_the_platforms_roots_is_taken", &[("KMS_TEST_PORT", &port), ("SSL_CERT_FILE", root)]);
}

#[test]
fn a_server_without_tls_is_refused_at_once() {
    let server = Server::start([Reply::ok(good(KEY))]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let kms = kms(KEY, &format!("https://{}", listener.local_addr().unwrap()), patient());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
        });
        assert_eq!(kms.describe().unwrap_err(), Error::Unreachable(Reach::Tls));
    });
    assert!(server.requests().is_empty());
}

#[test]
fn a_proxy_of_the_environment_is_not_asked() {
    if let Some(port) = port_of_the_child() {
        assert!(kms(KEY, &format!("http://127.0.0.1:{port}"), patient()).describe().is_ok());
        return;
    }
    let (proxy, server) = (Server::start([Reply::Close]), Server::start([Reply::ok(good(KEY))]));
    let (port, proxied) = (server.port().to_string(), proxy.url());
    let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let mut variables = vec![("KMS_TEST_PORT", port.as_str()), ("NO_PROXY", ""), ("no_proxy", "")];
    variables.extend(names.map(|name| (name, proxied.as_str())));
    child("a_proxy_of_the_environment_is_not_asked", &variables);
    assert_eq!((proxy.requests().len(), server.requests().len()), (0, 1));
}
