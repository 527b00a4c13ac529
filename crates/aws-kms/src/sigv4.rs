//! AWS Signature Version 4 in a header, for requests to `/` without a query.
//!
//! That is every request of the service's JSON protocol; paths and queries are left out on purpose. Held to the cases of AWS's
//! own test suite that fit (`tests/sigv4.json`).

#[cfg(test)]
mod tests;

use super::credentials::Credentials;
use super::{Error, Result};
use aws_lc_rs::{digest, hmac};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// A second, as signatures name it: `20150830T123600Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment(String);

impl Moment {
    /// Seconds since 1970. What lies after the year 9999 is told as its last second.
    pub(super) fn from_secs(secs: u64) -> Self {
        let secs = secs.min(LAST_SECOND);
        let (year, month, day) = date(secs / 86_400);
        let (hour, minute, second) = (secs / 3600 % 24, secs / 60 % 60, secs % 60);
        Self(format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z"))
    }

    /// The text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn day(&self) -> &str {
        self.0.split('T').next().unwrap_or_default()
    }
}

/// What a signature is good for.
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) moment: &'a Moment,
}

/// What is signed. The headers hold `x-amz-date` and, of temporary credentials, `x-amz-security-token`.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
}

/// The value of the header `authorization`.
pub(super) fn authorization(credentials: &Credentials, scope: &Scope<'_>, request: &Request<'_>) -> Result<String> {
    let (canonical, names) = canonical(request);
    let place = format!("{}/{}/{}/aws4_request", scope.moment.day(), scope.region, scope.service);
    let text = to_sign(&canonical, scope, &place);
    let signature = hex::encode(sign(&*signing_key(credentials, scope)?, text.as_bytes())?);
    let key = credentials.access_key();
    Ok(format!("{ALGORITHM} Credential={key}/{place}, SignedHeaders={names}, Signature={signature}"))
}

/// The canonical request, which holds the session token, and the names of its headers.
fn canonical(request: &Request<'_>) -> (Zeroizing<String>, String) {
    let mut headers = BTreeMap::<String, Vec<&str>>::new();
    for (name, value) in request.headers {
        headers.entry(name.to_ascii_lowercase()).or_default().push(value);
    }
    let names = headers.keys().map(String::as_str).collect::<Vec<_>>().join(";");
    let room = request.headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
    // Room for all, so that no copy stays behind where it grew.
    let mut text = Zeroizing::new(String::with_capacity(room + names.len() + request.method.len() + 128));
    text.push_str(request.method);
    text.push_str("\n/\n\n");
    for (name, values) in &headers {
        text.push_str(name);
        let mut mark = ':';
        for value in values {
            text.push(mark);
            let mut gap = "";
            for word in value.split_ascii_whitespace() {
                text.push_str(gap);
                text.push_str(word);
                gap = " ";
            }
            mark = ',';
        }
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&names);
    text.push('\n');
    text.push_str(&sha256(request.body));
    (text, names)
}

fn to_sign(canonical: &str, scope: &Scope<'_>, place: &str) -> String {
    format!("{ALGORITHM}\n{}\n{place}\n{}", scope.moment.as_str(), sha256(canonical.as_bytes()))
}

fn signing_key(credentials: &Credentials, scope: &Scope<'_>) -> Result<Zeroizing<[u8; 32]>> {
    let secret = credentials.expose_secret();
    let mut start = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
    start.extend_from_slice(b"AWS4");
    start.extend_from_slice(secret.as_bytes());
    let mut key = sign(&start, scope.moment.day().as_bytes())?;
    for part in [scope.region, scope.service, "aws4_request"] {
        key = sign(&*key, part.as_bytes())?;
    }
    Ok(key)
}

fn sign(key: &[u8], text: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
    let mut tag = Zeroizing::new([0; 32]);
    hmac::sign_to_buffer(&hmac::Key::new(hmac::HMAC_SHA256, key), text, tag.as_mut_slice())
        .map_err(|_| Error::Internal("a request could not be signed"))?;
    Ok(tag)
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// Year, month and day of a day since 1970, in the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    // Years begin in March here, so that the leap day is the last; 400 years are an era.
    let days = days + 719_468;
    let (era, in_era) = (days / 146_097, days % 146_097);
    let year_of_era = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const LAST_SECOND: u64 = 253_402_300_799;
