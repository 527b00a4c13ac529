//! A third party reads what we write: Go's `sumdb/note` and `sumdb/tlog` re-derive every hash of an exported log (`tests/go`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use log::proof::Head;
use log::source::MemoryTiles;

use crate::support::{entry, keys, log_of, sign, signers};

const OK: i32 = 0;
const SIGNATURE: i32 = 3;
const TREE: i32 = 4;
const FORK: i32 = 5;

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-verify");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/go/build.sh");
        let status = Command::new("sh").arg(&script).arg(&out).status().unwrap();
        assert!(
            status.success(),
            "tests/go/build.sh failed: it needs the packages golang-go and golang-golang-x-mod-dev"
        );
        out
    })
}

/// Writes the log into a folder and asks Go; gives the exit code.
fn go(name: &str, tiles: &MemoryTiles, older: Option<&[u8]>) -> i32 {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("go-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    for (path, bytes) in &tiles.0 {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let mut command = Command::new(program());
    command.arg(&folder).arg(keys().ed25519().to_string());
    if let Some(older) = older {
        let path = folder.join("older");
        std::fs::write(&path, older).unwrap();
        command.arg(path);
    }
    let output = command.output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    // Shown when the test fails.
    println!("{name}: {}", String::from_utf8_lossy(&output.stderr));
    output.status.code().unwrap()
}

fn older(size: u64) -> Vec<u8> {
    log_of(size).0.0["checkpoint"].clone()
}

#[test]
fn go_re_derives_every_hash() {
    for size in [1, 255, 256, 257, 70_000] {
        let (tiles, _) = log_of(size);
        assert_eq!(go("good", &tiles, None), OK, "{size}");
        assert_eq!(go("good", &tiles, Some(&older(size.div_ceil(3)))), OK, "{size}, consistency");
    }
}

#[test]
fn go_rejects_what_we_reject() {
    let (good, head) = log_of(70_000);
    assert_eq!(go("unchanged", &good, None), OK);
    for (path, at) in [
        ("tile/0/000", 5),
        ("tile/0/273.p/112", 100),
        ("tile/1/000", 4000),
        ("tile/1/001.p/17", 3),
        ("tile/2/000.p/1", 31),
        ("tile/entries/010", 60),
        ("tile/entries/273.p/112", 9),
    ] {
        let mut tiles = good.clone();
        tiles.0.get_mut(path).unwrap()[at] ^= 1;
        assert_eq!(go("flipped", &tiles, None), TREE, "{path}");
        tiles.0.remove(path);
        assert_eq!(go("missing", &tiles, None), TREE, "{path} missing");
    }
    let mut signature = good.clone();
    let text = String::from_utf8(good.0["checkpoint"].clone()).unwrap();
    let root = text.lines().nth(2).unwrap().to_owned();
    signature.0.insert("checkpoint".into(), text.replace(&root, "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=").into());
    assert_eq!(go("root", &signature, None), SIGNATURE);
    let mut line: Vec<_> = text.lines().map(str::to_owned).collect();
    let last = line[4].len() - 20;
    let flipped = if line[4].as_bytes()[last] == b'A' { "B" } else { "A" };
    line[4].replace_range(last..=last, flipped);
    signature.0.insert("checkpoint".into(), format!("{}\n", line.join("\n")).into());
    assert_eq!(go("signature", &signature, None), SIGNATURE);
    let mut wrong = good.clone();
    sign(&mut wrong, &Head { size: 69_999, root: head.root });
    assert_eq!(go("size", &wrong, None), TREE);
}

#[test]
fn go_rejects_a_fork_signed_with_the_real_keys() {
    let fork = log::edge::Edge::default().extend((0..1000).map(|n| if n == 30 { b"other".to_vec() } else { entry(n) }));
    let fork = fork.unwrap().edge;
    let forked = signers().sign(1000, &fork.root(), 1).unwrap();
    let (tiles, _) = log_of(1500);
    assert_eq!(go("fork", &tiles, Some(&older(1000))), OK);
    assert_eq!(go("fork", &tiles, Some(&forked)), FORK);
    let (short, _) = log_of(999);
    assert_eq!(go("behind", &short, Some(&older(1000))), FORK);
}
