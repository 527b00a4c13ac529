//! Notes, vkeys, checkpoints, receipts and tile paths: read to what writes the same bytes, or not at all; nothing foreign opens.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log::checkpoint::Checkpoint;
use log::keys::Signers;
use log::note::{Note, VerifierKey};
use log::receipt::Receipt;
use log::tile::Tile;
use std::sync::LazyLock;

static SIGNERS: LazyLock<Signers> = LazyLock::new(|| {
    Signers::from_seeds("strongroom/ffffffffffffffffffffffffffffffff/9", &[77; 32], &[78; 32]).expect("an origin")
});

fuzz_target!(|data: &[u8]| {
    if let Ok(note) = Note::parse(data) {
        assert_eq!(note.to_bytes(), data);
    }
    if let Ok(receipt) = Receipt::parse(data) {
        assert_eq!(receipt.to_bytes(), data);
        assert!(receipt.verify(b"entry", SIGNERS.keys()).is_err());
    }
    assert!(SIGNERS.keys().open(data).is_err(), "nobody else signs for this log");
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Checkpoint::parse(text);
        let _ = VerifierKey::parse(text);
        if let Ok(tile) = Tile::parse(text) {
            assert_eq!(tile.path(), text);
        }
    }
});
