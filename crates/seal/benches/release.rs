//! What one release costs, and finding one name among 100,000. `cargo bench -p strongroom-seal --bench release`; medians of 7
//! interleaved runs, with the `hpke` crate as peer in the same run.

use std::time::Instant;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::{MlKem768P256, XWing};
use hpke::{Kem, OpModeS, single_shot_seal};
use seal::envelope::{self, Key, Release, ReleasedKey};
use seal::hpke::OneTimeKey;
use seal::list::{Entry, ListReader, ListWriter, Node};
use seal::padme::Padding;
use seal::record::VersionRecord;
use seal::request::{Ask, SignedRequest};
use seal::secret::{DomainKey, ListKey, MapKey, SigningSeed, VersionKey};
use seal::sign::SigningKey;
use seal::wrap::{Kind, WrapContext, unwrap, wrap};
use seal::{Id, Suite};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
type Step<'a> = (&'static str, Box<dyn FnMut() -> Outcome<()> + 'a>);

const ID: Id = [1; 16];

fn main() -> Outcome<()> {
    // `cargo test --benches` runs this too: then it only proves that it works.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { 300 } else { 1 };
    releases::<XWing>(Suite::Default, rounds)?;
    releases::<MlKem768P256>(Suite::Nist, rounds)
}

/// The steps of a release under one suite; `K` is its KEM in the `hpke` crate.
fn releases<K: Kem>(suite: Suite, rounds: u32) -> Outcome<()> {
    println!("suite {}", suite.number());
    let signer = SigningKey::from_seed(&SigningSeed::generate()?)?;
    let key = OneTimeKey::generate(suite)?;
    let ask =
        Ask { vault: &ID, principal: &ID, session: &ID, action: 1, versions: &[ID], command: &[0; 32], time_ms: 0 };
    let request = SignedRequest::sign(&ask, &key, &signer)?;
    let encoded = request.encode();
    let release = Release { id: ID, versions: vec![(ID, Some([2; 32]))], expiry_ms: 1 };
    let list_key = ListKey::generate()?;
    let keys = [
        ReleasedKey { version: ID, key: Key::List(ListKey::generate()?) },
        ReleasedKey { version: ID, key: Key::Map(MapKey::generate()?) },
    ];
    let (_, peer) = K::gen_keypair();
    let domain = DomainKey::generate()?;
    let context = wrap_context(suite);
    let wrapped = wrap(&domain, &context, &VersionKey::generate()?)?;
    let (object, record) = names(suite, &list_key)?;
    let mut reader = ListReader::open(&list_key, &record, object.as_slice())?;
    let steps: Vec<Step<'_>> = vec![
        (
            "hpke crate: seal 106 bytes",
            Box::new(|| {
                let sealed =
                    single_shot_seal::<AesGcm256, HkdfSha256, K>(&OpModeS::Base, &peer, b"info", &[0; 106], b"");
                sealed.map(drop).map_err(|error| error.to_string().into())
            }),
        ),
        (
            "envelope: seal 2 keys and sign",
            Box::new(|| {
                envelope::seal(&request, &release, &keys, &signer)?;
                Ok(())
            }),
        ),
        (
            "request: decode and verify",
            Box::new(|| {
                SignedRequest::decode(&encoded)?.verify(&signer.verifying_key())?;
                Ok(())
            }),
        ),
        (
            "client: one-time key, request, open",
            Box::new(|| {
                let key = OneTimeKey::generate(suite)?;
                let request = SignedRequest::sign(&ask, &key, &signer)?;
                let sealed = envelope::seal(&request, &release, &keys, &signer)?;
                envelope::open(&sealed, &request, key, &signer.verifying_key())?;
                Ok(())
            }),
        ),
        (
            "unwrap a version key",
            Box::new(|| {
                unwrap::<VersionKey>(&domain, &context, &wrapped)?;
                Ok(())
            }),
        ),
        (
            "find one name of 100,000",
            Box::new(|| {
                reader.find(b"folder/file-054321")?.ok_or("the name is there")?;
                Ok(())
            }),
        ),
    ];
    measure(steps, rounds)
}

fn wrap_context(suite: Suite) -> WrapContext {
    WrapContext {
        suite,
        vault: ID,
        kind: Kind::Version,
        workspace: Some(ID),
        environment: Some(0),
        class: Some(2),
        artifact: Some(ID),
        version: Some(ID),
        key_id: ID,
        wrapping_key_id: ID,
        wrapping_key_version: 1,
    }
}

fn names(suite: Suite, key: &ListKey) -> Outcome<(Vec<u8>, VersionRecord)> {
    let mut object = Vec::new();
    let mut sink = |bytes: &[u8]| {
        object.extend_from_slice(bytes);
        Ok(())
    };
    let mut writer = ListWriter::new(key, suite, &ID, &ID, &mut sink)?;
    for n in 0..100_000 {
        let path = format!("folder/file-{n:06}").into_bytes();
        writer.push(&Entry::new(path, 0o644, Node::File { size: n })?)?;
    }
    let list = writer.finish(Padding::None)?.at(0);
    let record = VersionRecord {
        suite,
        vault: ID,
        artifact: ID,
        version: ID,
        previous: None,
        class: 1,
        environment: None,
        packs: Vec::new(),
        object: ID,
        list,
        map: list,
    };
    Ok((object, record))
}

fn measure(mut steps: Vec<Step<'_>>, rounds: u32) -> Outcome<()> {
    let mut times: Vec<Vec<f64>> = steps.iter().map(|_| Vec::new()).collect();
    for _ in 0..7 {
        for ((_, step), times) in steps.iter_mut().zip(&mut times) {
            let start = Instant::now();
            for _ in 0..rounds {
                step()?;
            }
            times.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds));
        }
    }
    for ((name, _), times) in steps.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        if let [low, .., high] = times.as_slice() {
            println!("{name:<40} {:8.1} us [{low:.1}-{high:.1}]", times.get(3).copied().unwrap_or_default());
        }
    }
    Ok(())
}
