//! The independent Python decryptor reads what Rust wrote, ranges too, and refuses what was changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use seal::escrow::{Escrow, Share, Terms};
use seal::list::{Entry, ListWriter, Node};
use seal::map::{Extent, MapEntry, MapWriter};
use seal::padme::Padding;
use seal::record::{Pack, Segment, VersionRecord};
use seal::recovery::Pair;
use seal::secret::{ListKey, MapKey, PackKey};
use seal::segment::{SegmentContext, SegmentSealer, block_group_count, sealed_groups_len};
use seal::tree::{self, Digest};
use seal::{Suite, object};
use testkit::python::python;

const VAULT: [u8; 16] = [1; 16];
const VERSION: [u8; 16] = [3; 16];
const PACK: [u8; 16] = [5; 16];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (seed + 7 * i + i / 251) as u8).collect()
}

struct Written {
    folder: PathBuf,
    digest: String,
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Written {
    fn segment(&self, number: u8) -> PathBuf {
        self.folder.join("depot/ab").join(hex::encode([number; 16]))
    }

    fn object(&self) -> PathBuf {
        self.folder.join("depot").join(hex::encode([7; 16]))
    }

    fn run(&self, args: &[&str]) -> Output {
        let path = |name: &str| self.folder.join(name).to_str().unwrap().to_owned();
        let script = root().join("spec/strongroom_open.py");
        let (depot, keys) = (path("depot"), path("keys.json"));
        let object = self.object().to_str().unwrap().to_owned();
        let options = ["--depot", &depot, "--object", &object, "--keys", &keys, "--digest", &self.digest];
        python(&[&[script.to_str().unwrap()], options.as_slice(), args].concat())
    }
}

fn seal_segment(suite: Suite, key: &PackKey, index: u32, plain: &[u8]) -> (Vec<u8>, Segment) {
    let sealer = SegmentSealer::new(suite, key, &SegmentContext { vault: VAULT, pack: PACK, index }).unwrap();
    let mut stored = vec![0; sealed_groups_len(0, plain.len())];
    let mut leaves = vec![Digest::default(); block_group_count(plain.len())];
    sealer.seal_groups(0, plain, &mut stored, &mut leaves).unwrap();
    let (tail, info) = sealer.finish(&leaves).unwrap();
    stored.extend_from_slice(&tail);
    let segment = Segment {
        object: [20 + index as u8; 16],
        plaintext_len: info.plaintext_len(),
        stored_len: info.stored_len(),
        digest: *info.digest().as_bytes(),
    };
    (stored, segment)
}

/// Two segments of 300,001 and 200,000 bytes; `big` lies across both. Enough small files for an index.
fn write(suite: Suite, name: &str) -> Written {
    let name = format!("{name}-{}", suite.number());
    let folder = std::env::temp_dir().join(format!("strongroom-seal-{}-{name}", std::process::id()));
    let mut written = Written { folder, digest: String::new() };
    fs::create_dir_all(written.folder.join("depot/ab")).unwrap();
    let pack_key = PackKey::generate().unwrap();
    let plain = pattern(500_001, 0);
    let mut segments = Vec::new();
    for (index, part) in [&plain[..300_001], &plain[300_001..]].into_iter().enumerate() {
        let (stored, segment) = seal_segment(suite, &pack_key, index as u32, part);
        fs::write(written.segment(20 + index as u8), stored).unwrap();
        segments.push(segment);
    }
    let (list_key, map_key) = (ListKey::generate().unwrap(), MapKey::generate().unwrap());
    let (mut object, mut map_bytes) = (Vec::new(), Vec::new());
    let mut list_sink = |bytes: &[u8]| {
        object.extend_from_slice(bytes);
        Ok(())
    };
    let mut map_sink = |bytes: &[u8]| {
        map_bytes.extend_from_slice(bytes);
        Ok(())
    };
    let mut list = ListWriter::new(&list_key, suite, &VAULT, &VERSION, &mut list_sink).unwrap();
    let mut map = MapWriter::new(&map_key, suite, &VAULT, &VERSION, &mut map_sink).unwrap();
    let mut push = |path: &[u8], mode, node, extents: Vec<Extent>, data: Option<&[u8]>| {
        list.push(&Entry::new(path.to_vec(), mode, node).unwrap()).unwrap();
        let digest = data.map(|data| *tree::digest(suite, data).as_bytes());
        map.push(&MapEntry { extents, digest }).unwrap();
    };
    let extent = |segment, offset, len| vec![Extent { pack: 0, segment, offset, len }];
    push(b"big", 0o640, Node::File { size: 400_000 }, extent(0, 100_000, 400_000), Some(&plain[100_000..500_000]));
    push(b"empty", 0o600, Node::File { size: 0 }, Vec::new(), Some(&[]));
    push(b"link", 0o777, Node::Symlink { target: b"../elsewhere".to_vec() }, Vec::new(), None);
    push(b"many", 0o755, Node::Folder, Vec::new(), None);
    for n in 0..3_000u64 {
        let data = &plain[n as usize..2 * n as usize];
        let extents = if n == 0 { Vec::new() } else { extent(0, n, n) };
        push(format!("many/{n:05}").as_bytes(), 0o644, Node::File { size: n }, extents, Some(data));
    }
    push(b"raw-\xff", 0o644, Node::File { size: 1 }, extent(1, 199_999, 1), Some(&plain[500_000..]));
    let list = list.finish(Padding::Padme).unwrap();
    let map = map.finish(&[(PACK, pack_key)], Padding::Padme).unwrap();
    object.extend_from_slice(&map_bytes);
    let record = VersionRecord {
        suite,
        vault: VAULT,
        artifact: [2; 16],
        version: VERSION,
        previous: None,
        class: 2,
        environment: None,
        packs: vec![Pack { id: PACK, owner: VERSION, segments }],
        object: [7; 16],
        list: list.at(0),
        map: map.at(list.stored_len),
    };
    let bytes = record.encode().unwrap();
    object::append(&bytes, &mut object).unwrap();
    fs::write(written.object(), object).unwrap();
    let keys = serde_json::json!({
        "list_key": hex::encode(list_key.expose_bytes()),
        "map_key": hex::encode(map_key.expose_bytes()),
    });
    fs::write(written.folder.join("keys.json"), keys.to_string()).unwrap();
    written.digest = hex::encode(record.digest().unwrap());
    written
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn python_extracts_what_rust_wrote() {
    for suite in Suite::ALL {
        let written = write(suite, "extract");
        let dest = written.folder.join("out");
        let out = written.run(&["extract", dest.to_str().unwrap()]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let plain = pattern(500_001, 0);
        assert!(fs::read(dest.join("big")).unwrap() == plain[100_000..500_000]);
        assert!(fs::read(dest.join("empty")).unwrap().is_empty());
        assert_eq!(fs::read_link(dest.join("link")).unwrap().to_str(), Some("../elsewhere"));
        for n in [0, 1, 1_234, 2_999] {
            assert!(fs::read(dest.join(format!("many/{n:05}"))).unwrap() == plain[n..2 * n], "{n}");
        }
        assert_eq!(fs::read_dir(dest.join("many")).unwrap().count(), 3_000);
        let listed = written.run(&["ls"]);
        assert_eq!(listed.stdout.iter().filter(|byte| **byte == b'\n').count(), 3_005);
    }
}

#[test]
fn python_reads_ranges_and_touches_only_their_groups() {
    for suite in Suite::ALL {
        let written = write(suite, "range");
        let plain = pattern(500_001, 0);
        let whole = &plain[100_000..500_000];
        // Damage far from the range is not read: the first group of the first segment.
        flip(&written.segment(20), 60);
        for (first, last) in
            [(0, 0), (0, 4_095), (65_535, 65_536), (200_000, 200_001), (199_990, 300_000), (399_999, 400_000)]
        {
            let out = written.run(&["cat", "big", "--bytes", &format!("{first}-{last}")]);
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            assert!(out.stdout == whole[first..whole.len().min(last + 1)], "{first}-{last}");
        }
        let damaged = written.run(&["cat", "many/00009"]);
        assert_eq!((damaged.status.code(), damaged.stdout.len()), (Some(7), 0));
    }
}

#[test]
fn python_refuses_what_was_changed() {
    for suite in Suite::ALL {
        let mut written = write(suite, "changed");
        let object = written.object();
        let original = fs::read(&object).unwrap();
        let list_start = [0, 30, 70, 5_000];
        let end = [original.len() - 1, original.len() - 9, original.len() - 100];
        for at in list_start.into_iter().chain(end) {
            flip(&object, at);
            let out = written.run(&["ls"]);
            assert_eq!(out.status.code(), Some(7), "byte {at}: {}", String::from_utf8_lossy(&out.stderr));
            fs::write(&object, &original).unwrap();
        }
        // An object of any length whose end is right.
        fs::write(&object, original.repeat(2)).unwrap();
        assert_eq!(written.run(&["ls"]).status.code(), Some(7), "twice the object");
        fs::write(&object, &original).unwrap();
        let right = std::mem::replace(&mut written.digest, hex::encode([0; 32]));
        assert_eq!(written.run(&["ls"]).status.code(), Some(7));
        written.digest = right;
        // Segments swapped.
        let (a, b) = (fs::read(written.segment(20)).unwrap(), fs::read(written.segment(21)).unwrap());
        fs::write(written.segment(20), b).unwrap();
        fs::write(written.segment(21), a).unwrap();
        assert_eq!(written.run(&["cat", "big"]).status.code(), Some(7));
        assert_eq!(written.run(&["ls"]).status.code(), Some(0));
    }
}

#[test]
fn python_agrees_with_the_vectors() {
    let script = root().join("spec/vectors/check.py");
    let out = python(&[script.to_str().unwrap()]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

/// A vault's folder as the script needs it: `vault.json` with an escrow, and a database without versions.
fn escrowed(suite: Suite, name: &str) -> (Written, Vec<Share>) {
    let folder =
        std::env::temp_dir().join(format!("strongroom-escrow-{}-{name}-{}", std::process::id(), suite.number()));
    let written = Written { folder, digest: String::new() };
    fs::create_dir_all(&written.folder).unwrap();
    let (root, word) = ([4; 16], if suite == Suite::Default { "default" } else { "nist" });
    let terms = Terms { vault: VAULT, root, generation: 2, made_ms: 1_795_305_600_000, threshold: 3, shares: 5 };
    let (escrow, seed, shares) = Escrow::create(suite, terms).unwrap();
    let key = seed.root_key(suite, &VAULT, &root).unwrap();
    let sealed = Pair::generate(suite).unwrap().seal(&key, &VAULT, &root).unwrap();
    let params = hex::encode(escrow.params(&sealed));
    let entry = serde_json::json!({ "id": hex::encode(root), "kind": "escrow", "params": params, "tag": "" });
    let file = serde_json::json!({ "strongroom": 1, "vault": hex::encode(VAULT), "mode": "solo", "suite": word, "roots": [entry] });
    fs::write(written.folder.join("vault.json"), file.to_string()).unwrap();
    let database = written.folder.join("keeper.db");
    let make = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('CREATE TABLE version (id BLOB, body BLOB)')";
    assert!(python(&["-c", make, database.to_str().unwrap()]).status.success());
    for share in &shares {
        fs::write(written.folder.join(format!("share-{}", share.number())), share.expose_text().as_bytes()).unwrap();
    }
    (written, shares)
}

#[test]
fn python_opens_an_escrow_with_enough_of_its_shares() {
    for suite in Suite::ALL {
        let (written, shares) = escrowed(suite, "right");
        let (other, _) = escrowed(suite, "other");
        let path = |of: &Written, name: &str| of.folder.join(name).to_str().unwrap().to_owned();
        let script = root().join("spec/strongroom_recover.py").to_str().unwrap().to_owned();
        let recovers = |files: &[String]| {
            let files = files.iter().flat_map(|file| ["--share-file".to_owned(), file.clone()]);
            let vault = [script.clone(), "--vault".to_owned(), written.folder.to_str().unwrap().to_owned()];
            let out = python(&vault.into_iter().chain(files).chain(["ls".to_owned()]).collect::<Vec<_>>());
            (out.status.code(), String::from_utf8(out.stderr).unwrap())
        };
        let of =
            |numbers: &[u8]| -> Vec<String> { numbers.iter().map(|n| path(&written, &format!("share-{n}"))).collect() };
        assert_eq!(recovers(&of(&[5, 1, 3])), (Some(0), String::new()));
        assert_eq!(recovers(&of(&[2, 4, 1, 5, 3])), (Some(0), String::new()));
        let typed = shares[3].expose_text().lines().skip(3).collect::<String>().to_lowercase().replace('-', " ");
        fs::write(path(&written, "typed"), typed).unwrap();
        assert_eq!(recovers(&[of(&[1, 2]), vec![path(&written, "typed")]].concat()).0, Some(0));

        let refused = |files: &[String], says: &str| {
            let (code, told) = recovers(files);
            assert!(code == Some(4) && told.contains(says), "{says}: {code:?} {told}");
        };
        refused(&of(&[5, 1]), "2 of the 3 shares");
        refused(&of(&[5, 1, 5]), "share 5 is there twice");
        // Of the same vault and root, made another time.
        refused(&[of(&[1, 2]), vec![path(&other, "share-3")]].concat(), "share 3: altered");
        let mut slipped = fs::read(path(&written, "share-2")).unwrap();
        let last = slipped.len() - 2;
        slipped[last] = if slipped[last] == b'7' { b'8' } else { b'7' };
        fs::write(path(&written, "slipped"), slipped).unwrap();
        refused(&[of(&[1, 3]), vec![path(&written, "slipped")]].concat(), "group 32 of the share");
    }
}
