use super::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Suite {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    method: String,
    headers: Vec<(String, String)>,
    body: String,
    region: String,
    service: String,
    timestamp: String,
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    token_signed: bool,
    sign_body: bool,
    canonical_request: String,
    string_to_sign: String,
    authorization: String,
}

impl Case {
    fn credentials(&self) -> Credentials {
        let token = self.token.clone().map(Zeroizing::new);
        Credentials::new(self.access_key_id.clone(), Zeroizing::new(self.secret_access_key.clone()), token).unwrap()
    }

    /// What its signer adds before it signs.
    fn headers<'a>(&'a self, moment: &'a Moment, digest: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.push(("X-Amz-Date", moment.as_str()));
        headers
            .extend(self.token.as_deref().filter(|_| self.token_signed).map(|token| ("X-Amz-Security-Token", token)));
        headers.extend(self.sign_body.then_some(("x-amz-content-sha256", digest)));
        headers
    }
}

fn suite() -> Vec<Case> {
    serde_json::from_str::<Suite>(include_str!("../../tests/sigv4.json")).unwrap().cases
}

#[test]
fn the_published_cases_are_met_at_each_step() {
    let cases = suite();
    assert_eq!(cases.len(), 15);
    for case in cases {
        assert_eq!(case.timestamp, "2015-08-30T12:36:00Z");
        let moment = Moment::from_secs(1_440_938_160);
        let digest = sha256(case.body.as_bytes());
        let headers = case.headers(&moment, &digest);
        let request = Request { method: &case.method, headers: &headers, body: case.body.as_bytes() };
        let scope = Scope { region: &case.region, service: &case.service, moment: &moment };
        let (canonical, _) = canonical(&request);
        assert_eq!(canonical.as_str(), case.canonical_request, "{}", case.name);
        let place = format!("20150830/{}/{}/aws4_request", case.region, case.service);
        assert_eq!(to_sign(&canonical, &scope, &place), case.string_to_sign, "{}", case.name);
        let signed = authorization(&case.credentials(), &scope, &request).unwrap();
        assert_eq!(signed, case.authorization, "{}", case.name);
    }
}

#[test]
fn nothing_signed_can_change_unseen() {
    let case = &suite()[0];
    let credentials = case.credentials();
    let moment = Moment::from_secs(1_440_938_160);
    let signed = |credentials: &Credentials, region, service, moment: &Moment, method, headers: &[_], body: &[u8]| {
        let scope = Scope { region, service, moment };
        let whole = authorization(credentials, &scope, &Request { method, headers, body }).unwrap();
        whole.rsplit('=').next().unwrap().to_owned()
    };
    let (h, other) = ([("host", "a"), ("x-amz-date", moment.as_str())], Moment::from_secs(1_440_938_161));
    let key = Credentials::new("AKIDEXAMPLE".into(), Zeroizing::new("another".into()), None).unwrap();
    let mut seen = vec![
        signed(&credentials, "r", "s", &moment, "POST", &h, b"body"),
        signed(&key, "r", "s", &moment, "POST", &h, b"body"),
        signed(&credentials, "q", "s", &moment, "POST", &h, b"body"),
        signed(&credentials, "r", "t", &moment, "POST", &h, b"body"),
        signed(&credentials, "r", "s", &other, "POST", &h, b"body"),
        signed(&credentials, "r", "s", &moment, "PUT", &h, b"body"),
        signed(&credentials, "r", "s", &moment, "POST", &[("host", "b"), h[1]], b"body"),
        signed(&credentials, "r", "s", &moment, "POST", &[h[0], h[1], ("x-amz-target", "t")], b"body"),
        signed(&credentials, "r", "s", &moment, "POST", &h, b"bodY"),
    ];
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 9);
}

#[test]
fn moments_are_those_of_the_calendar() {
    for (secs, text) in [
        (0, "19700101T000000Z"),
        (951_782_399, "20000228T235959Z"),
        (951_782_400, "20000229T000000Z"),
        (1_709_251_199, "20240229T235959Z"),
        (4_107_542_400, "21000301T000000Z"),
        (LAST_SECOND, "99991231T235959Z"),
        (u64::MAX, "99991231T235959Z"),
    ] {
        assert_eq!(Moment::from_secs(secs).as_str(), text);
        assert_eq!(Moment::from_secs(secs).day(), &text[..8]);
    }
}
