//! What a put leaves in depot and catalog: nothing shared where nothing may be, lengths that tell little, a commitment that tells nothing.

use super::inside::known;
use super::sandbox::{Dice, Sandbox};
use seal::mac;
use seal::padme::padded_len;
use seal::record::VersionRecord;
use seal::secret::MacKey;
use seal::tree::{self, Digest};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use testkit::suites;

/// Puts a source; what the command says.
pub fn put(sandbox: &Sandbox, args: &[&str]) -> Value {
    sandbox.run(["--format", "json"].iter().chain(args)).exits(0).json()
}

/// One column of one row of the database.
fn stored<T: rusqlite::types::FromSql>(sandbox: &Sandbox, sql: &str, put: &Value) -> T {
    let db = rusqlite::Connection::open(sandbox.vault().join("keeper.db")).unwrap();
    let id = format!("x'{}'", put["id"].as_str().unwrap());
    db.query_row(&sql.replace("ID", &id), [], |row| row.get(0)).unwrap()
}

/// The record of the version that a put made.
pub fn record(sandbox: &Sandbox, put: &Value) -> VersionRecord {
    VersionRecord::decode(&stored::<Vec<u8>>(sandbox, "SELECT bytes FROM record WHERE version = ID", put)).unwrap()
}

/// The depot objects that a version names.
pub fn objects(record: &VersionRecord) -> BTreeSet<[u8; 16]> {
    let segments = record.packs.iter().flat_map(|pack| &pack.segments).map(|segment| segment.object);
    segments.chain([record.object]).collect()
}

#[test]
fn restricted_after_restricted_shares_nothing() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        let mut dice = Dice(11);
        sandbox.write("in/large", dice.bytes(3_000_000));
        (0..20).for_each(|n| drop(sandbox.write(&format!("in/small-{n}"), dice.bytes(300))));
        for (first, second, shares) in [
            ("confidential", "confidential", true),
            ("confidential", "restricted", false),
            ("restricted", "restricted", false),
        ] {
            let case = format!("{first} and then {second}");
            let target = format!("lab/{first}-{second}");
            let [one, two] = [first, second].map(|class| put(&sandbox, &["put", "in", &target, "--class", class]));
            assert_eq!(two["reused_bytes"].as_u64().unwrap() > 0, shares, "{case}: {two}");
            let [before, after] = [&one, &two].map(|put| record(&sandbox, put));
            assert_eq!(after.packs.iter().any(|pack| pack.owner != after.version), shares, "{case}");
            assert_eq!(objects(&before).is_disjoint(&objects(&after)), !shares, "{case}");
            let packs = |record: &VersionRecord| record.packs.iter().map(|pack| pack.id).collect::<BTreeSet<_>>();
            assert_eq!(packs(&before).is_disjoint(&packs(&after)), !shares, "{case}");
            let [before, after] = ["v1", "v2"].map(|version| {
                let known = known(&sandbox, &format!("{target}@{version}"));
                known.pack_keys.iter().map(|key| *key.expose_bytes()).collect::<BTreeSet<[u8; 32]>>()
            });
            assert_eq!(before.is_disjoint(&after), !shares, "{case}: keys");
        }
        // Nor does the depot hold equal ciphertext: each put sealed everything anew.
        let versions = [1, 2].map(|n| known(&sandbox, &format!("lab/restricted-restricted@v{n}")).record);
        let [one, two] = versions.map(|record| {
            let object = hex::encode(record.packs[0].segments[0].object);
            let path =
                sandbox.objects().into_iter().find(|path| path.to_string_lossy().replace('/', "").ends_with(&object));
            std::fs::read(path.unwrap()).unwrap()
        });
        let chunks = |bytes: &[u8]| bytes.chunks(64).map(<[u8]>::to_vec).collect::<BTreeSet<_>>();
        assert!(one.len() == two.len() && one.len() > 3_000_000);
        assert!(chunks(&one).is_disjoint(&chunks(&two)));
    });
}

/// The lengths of the objects that a put adds to the depot, sorted, and the version's record.
fn lengths(sandbox: &Sandbox, class: &str, sizes: &[usize]) -> (Vec<u64>, VersionRecord) {
    let _ = std::fs::remove_dir_all(sandbox.at("in"));
    let mut dice = Dice(sizes.iter().sum::<usize>() as u64);
    for (n, size) in sizes.iter().enumerate() {
        sandbox.write(&format!("in/file-{n}"), dice.bytes(*size));
    }
    let before: BTreeSet<PathBuf> = sandbox.objects().into_iter().collect();
    let target = format!("lab/{class}-{}-{}", sizes.len(), sizes[0]);
    let done = put(sandbox, &["put", "in", &target, "--class", class]);
    let added = sandbox.objects().into_iter().filter(|path| !before.contains(path));
    let mut lengths: Vec<u64> = added.map(|path| std::fs::metadata(path).unwrap().len()).collect();
    lengths.sort_unstable();
    (lengths, record(sandbox, &done))
}

#[test]
fn what_lies_in_the_depot_has_padded_lengths_where_the_class_asks_for_it() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        // Two sources each, of another size but the same Padmé length.
        let sources: [[Vec<usize>; 2]; 3] =
            [[vec![1_000_000], vec![1_015_000]], [vec![100; 30], vec![101; 30]], [vec![70_001], vec![71_500]]];
        for sizes in &sources {
            let [one, two] = sizes.each_ref().map(|sizes| sizes.iter().sum::<usize>() as u64);
            assert!(one != two && padded_len(one) == padded_len(two), "{one} {two}");
        }
        for (class, padded) in [("public", false), ("internal", false), ("confidential", true), ("restricted", true)] {
            for pair in &sources {
                let [(one, record), (two, _)] = pair.each_ref().map(|sizes| lengths(&sandbox, class, sizes));
                assert_eq!(one == two, padded, "{class} {:?}: {one:?} {two:?}", pair[0]);
                let total: usize = pair[0].iter().sum();
                let segments: Vec<_> = record.packs.iter().flat_map(|pack| &pack.segments).collect();
                let sealed: u64 = segments.iter().map(|segment| segment.plaintext_len).sum();
                assert_eq!(sealed, if padded { padded_len(total as u64) } else { total as u64 }, "{class}");
                assert!(segments.iter().all(|segment| one.contains(&segment.stored_len)), "{class}: {one:?}");
                for manifest in [&record.list, &record.map] {
                    let len = manifest.plaintext_len;
                    assert!(!padded || padded_len(len) == len, "{class}: a list or map of {len} bytes");
                }
            }
        }
    });
}

#[test]
fn the_commitment_to_the_plaintext_is_salted() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        let bytes = Dice(5).bytes(100_000);
        sandbox.write("in/one", &bytes);
        sandbox.write("in/two", b"two");
        // The same bytes, thrice: in a version of their own, in the next one, which shares them, and in another artifact.
        let puts =
            ["lab/a", "lab/a", "lab/b"].map(|target| put(&sandbox, &["put", "in", target, "--class", "internal"]));
        let sql = "SELECT json_extract(CAST(body AS TEXT), '$.plaintext') FROM version WHERE id = ID";
        let commitments = puts.each_ref().map(|put| stored::<String>(&sandbox, sql, put));
        assert_eq!(commitments.iter().collect::<BTreeSet<_>>().len(), 3, "{commitments:?}");
        let versions = ["lab/a@v1", "lab/a@v2", "lab/b@v1"].map(|reference| known(&sandbox, reference));
        let digests = versions.each_ref().map(|known| {
            let files: Vec<Digest> =
                known.places.iter().filter_map(|place| place.digest.map(Digest::from_bytes)).collect();
            assert_eq!(files.len(), 2);
            tree::root(known.record.suite, &files)
        });
        assert!(digests.iter().all(|digest| digest == &digests[0]), "what is committed to is the same");
        // Whoever may read a version can check its commitment; with the keys of another one nobody can.
        for (n, known) in versions.iter().enumerate() {
            let key = MacKey::from_slice(known.map_key.expose_bytes()).unwrap();
            let tags = digests.each_ref().map(|digest| hex::encode(mac::tag(&key, digest.as_bytes())));
            for (m, commitment) in commitments.iter().enumerate() {
                assert_eq!(tags.contains(commitment), n == m, "commitment {m} under the key of version {n}");
            }
        }
        // And no row of the keeper holds what was committed to, in any form.
        let db = std::fs::read(sandbox.vault().join("keeper.db")).unwrap();
        let holds = |needle: &[u8]| db.windows(needle.len()).any(|window| window == needle);
        assert!(holds(commitments[0].as_bytes()));
        let places = versions[0].places.iter().filter_map(|place| place.digest);
        for digest in places.chain([*digests[0].as_bytes()]) {
            assert!(!holds(&digest) && !holds(hex::encode(digest).as_bytes()));
        }
    });
}
