//! Somebody between client and keeper: changes what is asked and what is answered. Whatever they do, the client gets no key that the
//! keeper did not seal to it for this request, and writes nothing.

use crate::inside::{anchor, key_file, known, wrapped_keys};
use crate::sandbox::Sandbox;
use api::terms::{Code, Environment, PrincipalId, SessionId};
use api::wire::{Answer, Command, Problem, VaultInfo};
use client::connection::{Connection, embedded::Embedded};
use client::dest::Existing;
use client::seat::{Seat, SessionKey};
use client::source::Filter;
use client::{Bytes, Client, Get, Put, Towards, Unwatched, Why};
use keeper::Keeper;
use keeper::system::{Clock as _, SystemClock};
use keeper::vault::{OpenOptions, RootUnlock};
use seal::envelope::{self, Key, ReleasedKey};
use seal::hpke::OneTimeKey;
use seal::request::{Ask, SignedRequest};
use seal::secret::{ListKey, MapKey, SigningSeed};
use seal::sign::SigningKey;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What they do with the bytes of each request.
type OnRequest = Box<dyn Fn(&mut Vec<u8>) + Send + Sync>;
/// What they do with each envelope, and the record that comes with it; they know the request.
type OnAnswer = Box<dyn Fn(&SignedRequest, &mut Vec<u8>, Option<&mut Vec<u8>>) + Send + Sync>;

struct Middle {
    inner: Embedded,
    on_request: OnRequest,
    on_answer: OnAnswer,
}

impl std::fmt::Debug for Middle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Middle")
    }
}

impl Connection for Middle {
    fn info(&self) -> &VaultInfo {
        self.inner.info()
    }
    fn principal(&self) -> PrincipalId {
        self.inner.principal()
    }
    fn session(&self) -> SessionId {
        self.inner.session()
    }
    fn close(self: Box<Self>) -> Result<(), Problem> {
        let Self { inner, .. } = *self;
        Box::new(inner).close()
    }
    fn call(&self, mut command: Command) -> Result<Answer, Problem> {
        let request = match &mut command {
            Command::Release(release) => Some(&mut release.request),
            Command::Begin(begin) => Some(&mut begin.request),
            _ => None,
        };
        let Some(request) = request else { return self.inner.call(command) };
        let asked = SignedRequest::decode(request).expect("the client's request");
        (self.on_request)(request);
        let mut answer = self.inner.call(command)?;
        match &mut answer {
            Answer::Released(released) => {
                (self.on_answer)(&asked, &mut released.envelope, Some(&mut released.record));
            }
            Answer::Begun(begun) => (self.on_answer)(&asked, &mut begun.envelope, None),
            other => panic!("{other:?}"),
        }
        Ok(answer)
    }
}

fn asking(on_request: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> (OnRequest, OnAnswer) {
    (Box::new(on_request), Box::new(|_, _, _| ()))
}

fn answering(
    on_answer: impl Fn(&SignedRequest, &mut Vec<u8>, Option<&mut Vec<u8>>) + Send + Sync + 'static,
) -> (OnRequest, OnAnswer) {
    (Box::new(|_| ()), Box::new(on_answer))
}

fn through(sandbox: &Sandbox, (on_request, on_answer): (OnRequest, OnAnswer)) -> Client {
    let (dir, root) = (sandbox.vault(), RootUnlock::Keyfile(key_file(sandbox)));
    let keeper = Keeper::open(&OpenOptions::new(dir.clone(), root, anchor(sandbox))).expect("the vault opens");
    let key = SessionKey::generate().expect("a key");
    let session = keeper.session(None, key.public()).expect("a session");
    let middle = Middle { inner: Embedded::new(keeper, session), on_request, on_answer };
    let store = depot::Local::open(&dir.join("depot")).expect("the depot");
    Client::new(Seat::new(Box::new(middle), key).expect("a seat"), Arc::new(store), dir)
}

/// `get`, `cat` and `put` through them end with this code; nothing is written, nothing given out, no version made.
#[track_caller]
fn refused(sandbox: &Sandbox, how: &str, code: Code, middle: (OnRequest, OnAnswer)) {
    let client = through(sandbox, middle);
    let dest = sandbox.at("never");
    let reference = || "lab/data".parse().expect("a reference");
    let get = Get { reference: reference(), dest: dest.clone(), existing: Existing::Keep, why: Why::default() };
    assert_eq!(client.get(&get, &Unwatched).expect_err(how).code, code, "{how}: get");
    assert!(!dest.exists(), "{how}: something was written");
    let mut out = Vec::new();
    let cat = client.cat(&reference(), Bytes::All, &Why::default(), (&mut out, Towards::Reader), &Unwatched);
    assert_eq!(cat.expect_err(how).code, code, "{how}: cat");
    assert!(out.is_empty(), "{how}: something was given out");
    let put = Put {
        source: sandbox.at("f"),
        workspace: "lab".parse().expect("a name"),
        artifact: "data".parse().expect("a name"),
        class: None,
        at_least: None,
        environment: Environment::Dev,
        kind: None,
        tags: BTreeMap::new(),
        alias: None,
        from: Vec::new(),
        filter: Filter::default(),
        afresh: false,
        no_copy: false,
        made: None,
    };
    assert_eq!(client.put(&put, &Unwatched).expect_err(how).code, code, "{how}: put");
    assert_eq!(client.seat().show("lab/data").expect("the version").number, 2, "{how}: a version was made");
    client.close().expect("a closed vault");
}

fn prepared() -> Sandbox {
    let sandbox = Sandbox::solo();
    for content in ["first", "second"] {
        sandbox.write("f", content);
        sandbox.run(["put", "f", "lab/data", "--class", "internal"]).exits(0);
    }
    sandbox
}

fn signer() -> SigningKey {
    SigningKey::from_seed(&SigningSeed::generate().expect("a seed")).expect("a key")
}

/// The request as somebody else would have signed it, for a one-time key of theirs.
fn signed_anew(request: &[u8]) -> Vec<u8> {
    let signed = SignedRequest::decode(request).expect("a request");
    let asked = signed.unverified();
    let ask = Ask {
        vault: &asked.vault,
        principal: &asked.principal,
        session: &asked.session,
        action: asked.action,
        versions: &asked.versions,
        command: &asked.command,
        time_ms: asked.time_ms,
    };
    SignedRequest::sign(&ask, &OneTimeKey::generate(seal::Suite::Default).expect("a key"), &signer())
        .expect("a request")
        .encode()
}

/// Where the one-time public key is: before the signature and its head.
fn one_time_key(request: &[u8]) -> std::ops::Range<usize> {
    let end = request.len() - 64 - 2;
    end - 1_216..end
}

#[test]
fn a_request_with_another_key_signed_anew_or_sent_twice_gets_nothing() {
    let sandbox = prepared();
    let exchanged = asking(|request| {
        let theirs = signed_anew(request);
        assert_eq!(theirs.len(), request.len());
        let place = one_time_key(request);
        request[place.clone()].copy_from_slice(&theirs[place]);
    });
    // It does not have the hash that was signed.
    refused(&sandbox, "another one-time key", Code::BadRequest, exchanged);
    let anew = asking(|request| *request = signed_anew(request));
    refused(&sandbox, "signed by another session key", Code::BadSession, anew);
    // One request that was answered, again and again; the first is answered here.
    let first: Mutex<BTreeMap<usize, Vec<u8>>> = Mutex::default();
    let client = through(
        &sandbox,
        asking(move |request| {
            let mut first = first.lock().expect("a lock");
            *request = first.entry(request.len()).or_insert_with(|| request.clone()).clone();
        }),
    );
    let mut out = Vec::new();
    let mut cat = || {
        client.cat(
            &"lab/data".parse().expect("a reference"),
            Bytes::All,
            &Why::default(),
            (&mut out, Towards::Reader),
            &Unwatched,
        )
    };
    cat().expect("the first").expect("bytes");
    assert_eq!(cat().expect_err("a replay").code, Code::BadSession);
    assert_eq!(out, b"second");
}

#[test]
fn an_envelope_that_the_keeper_did_not_sign_for_this_request_opens_nothing() {
    let sandbox = prepared();
    let unsigned = answering(|_, envelope, _| {
        let at = envelope.len() - 64;
        envelope[at..].fill(0);
    });
    refused(&sandbox, "no signature", Code::BadSignature, unsigned);
    // Keys of their choice, sealed to the client's own key for exactly its request, and signed by them.
    let foreign = answering(|asked, envelope, _| {
        let versions = &asked.unverified().versions;
        let release = envelope::Release {
            id: [7; 16],
            versions: versions.iter().map(|version| (*version, Some([7; 32]))).collect(),
            expiry_ms: u64::from(u32::MAX) << 12,
        };
        let key = |key| ReleasedKey { version: versions[0], key };
        let list = key(Key::List(ListKey::generate().expect("a key")));
        let keys = [list, key(Key::Map(MapKey::generate().expect("a key")))];
        *envelope = envelope::seal(asked, &release, &keys, &signer()).expect("an envelope");
    });
    refused(&sandbox, "signed by another keeper", Code::BadSignature, foreign);
    // An answer that was right for the same command, earlier.
    let earlier: Arc<Mutex<Vec<u8>>> = Arc::default();
    let keep = Arc::clone(&earlier);
    let client = through(&sandbox, answering(move |_, envelope, _| keep.lock().expect("a lock").clone_from(envelope)));
    let dest = sandbox.at("once");
    let reference = "lab/data".parse().expect("a reference");
    let get = Get { reference, dest, existing: Existing::Keep, why: Why::default() };
    client.get(&get, &Unwatched).expect("a copy");
    client.close().expect("a closed vault");
    let replayed = answering(move |_, envelope, _| envelope.clone_from(&earlier.lock().expect("a lock")));
    refused(&sandbox, "a replay", Code::BadSignature, replayed);
    for at in [10, 100, 1_500] {
        let flipped = answering(move |_, envelope, _| {
            let at = at.min(envelope.len() - 70);
            envelope[at] ^= 1;
        });
        let client = through(&sandbox, flipped);
        let problem =
            client.seat().release("lab/data", api::terms::Action::Read, &Why::default()).expect_err("flipped");
        assert_eq!(problem.code, Code::BadSignature, "byte {at}");
        client.close().expect("a closed vault");
    }
    // The right envelope with the record of another version.
    let other = crate::inside::known(&sandbox, "lab/data@v1").record.encode().expect("a record");
    let swapped = answering(move |_, _, record| {
        if let Some(record) = record {
            record.clone_from(&other);
        }
    });
    let client = through(&sandbox, swapped);
    let problem = client.seat().release("lab/data@v2", api::terms::Action::Read, &Why::default());
    assert_eq!(problem.expect_err("another record").code, Code::BadSignature);
}

#[test]
fn an_envelope_past_its_time_opens_nothing() {
    let sandbox = prepared();
    // The keeper's own answer in all but its time: its key signs, the version's keys are in it.
    let seed = wrapped_keys(&sandbox).into_iter().find(|(name, _)| name.starts_with("release-")).expect("a seed").1;
    let known = Arc::new(known(&sandbox, "lab/data@v2"));
    let expiring = |expiry_ms: u64| {
        let seed = SigningSeed::from_slice(&seed).expect("a seed");
        let (keeper, known) = (SigningKey::from_seed(&seed).expect("a key"), Arc::clone(&known));
        answering(move |asked, envelope, _| {
            let (mut versions, mut keys) = (Vec::new(), Vec::new());
            for version in asked.unverified().versions.iter().copied() {
                let (list, map) = if version == known.record.version {
                    versions.push((version, Some(known.record.digest().expect("a digest"))));
                    (known.list_key.expose_bytes(), known.map_key.expose_bytes())
                } else {
                    versions.push((version, None));
                    (&[1; 32], &[2; 32])
                };
                let list = Key::List(ListKey::from_slice(list).expect("a key"));
                let map = Key::Map(MapKey::from_slice(map).expect("a key"));
                keys.extend([list, map].map(|key| ReleasedKey { version, key }));
            }
            let release = envelope::Release { id: [7; 16], versions, expiry_ms };
            *envelope = envelope::seal(asked, &release, &keys, &keeper).expect("an envelope");
        })
    };
    let now = || SystemClock.now().as_millis();
    for (how, expiry_ms) in [("without a time", 0), ("an hour ago", now() - 3_600_000), ("just now", now())] {
        refused(&sandbox, how, Code::BadSignature, expiring(expiry_ms));
    }
    let client = through(&sandbox, expiring(now() + 3_600_000));
    let mut out = Vec::new();
    let reference = "lab/data".parse().expect("a reference");
    client
        .cat(&reference, Bytes::All, &Why::default(), (&mut out, Towards::Reader), &Unwatched)
        .expect("an answer")
        .expect("bytes");
    assert_eq!(out, b"second", "the time is all that was wrong");
    client.close().expect("a closed vault");
}
