//! Signed heads that this process has verified. A command meets the same note in the database, in the anchor and published;
//! two signatures are checked once for each text.

use log::checkpoint::{Checkpoint, CheckpointError};
use log::keys::LogKeys;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The most notes remembered: two slots of the anchor, the published one, the newest.
const REMEMBERED: usize = 4;

/// Verifies notes of one log.
#[derive(Debug)]
pub(super) struct Notes {
    keys: LogKeys,
    known: Mutex<VecDeque<(Vec<u8>, Checkpoint)>>,
}

impl Notes {
    pub(super) fn new(keys: LogKeys) -> Self {
        Self { keys, known: Mutex::default() }
    }

    /// What both keys signed, exactly these bytes.
    ///
    /// # Errors
    /// As [`LogKeys::open`].
    pub(super) fn open(&self, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, checkpoint)) = known.iter().find(|(text, _)| text == bytes) {
            return Ok(checkpoint.clone());
        }
        let checkpoint = self.keys.open(bytes)?;
        known.truncate(REMEMBERED - 1);
        known.push_front((bytes.to_vec(), checkpoint.clone()));
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::keys::Signers;
    use log::tree;

    #[test]
    fn a_verified_note_is_remembered_by_every_byte_of_it() {
        let signers = Signers::from_seeds(&format!("strongroom/{}/1", "07".repeat(16)), &[1; 32], &[2; 32]).unwrap();
        let notes = Notes::new(signers.keys().clone());
        for size in 1..8 {
            let signed = signers.sign(size, &tree::leaf(b"x"), 1).unwrap();
            assert_eq!(notes.open(&signed).unwrap().size, size);
            assert_eq!(notes.open(&signed).unwrap().size, size);
            for at in [0, signed.len() / 2, signed.len() - 2] {
                let mut altered = signed.clone();
                altered[at] ^= 1;
                assert!(notes.open(&altered).is_err());
            }
        }
        assert_eq!(notes.known.lock().unwrap().len(), REMEMBERED);
    }
}
