//! Where a bucket is and how to sign in: plain HTTP goes to this machine only, whatever an endpoint looks like.
#![no_main]

use depot::bucket::Settings;
use depot::bucket::settings::fuzz::{credentials, is_plain_loopback};
use libfuzzer_sys::fuzz_target;
use url::{Host, Url};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(settings) = Settings::from_url(text) {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        assert!((3..=63).contains(&settings.bucket.len()) && settings.bucket.chars().all(plain));
        let again =
            Settings::from_url(&format!("s3://{}/{}", settings.bucket, settings.prefix)).expect("what was read");
        assert_eq!((again.bucket, again.prefix), (settings.bucket, settings.prefix));
    }
    if is_plain_loopback(text) == Some(true) {
        // As the client reads it.
        if let Ok(url) = Url::parse(text) {
            let local = match url.host() {
                Some(Host::Domain(name)) => name == "localhost",
                Some(Host::Ipv4(address)) => address.is_loopback(),
                Some(Host::Ipv6(address)) => address.is_loopback(),
                None => false,
            };
            assert!(local && url.scheme() == "http" && url.username().is_empty() && url.password().is_none(), "{url}");
        }
    }
    if let Some((id, secret, token)) = credentials(text) {
        let line = |name: &str, value: &str| {
            assert!(!value.is_empty() && value == value.trim() && text.contains(value));
            format!("{name} = {value}\n")
        };
        let mut again = line("access_key_id", &id) + &line("secret_access_key", &secret);
        token.iter().for_each(|token| again += &line("session_token", token));
        assert_eq!(credentials(&again), Some((id, secret, token)));
    }
});
