//! Whatever is said reads as it was said; whatever is read has one form of its own.

mod made;

use super::*;
use crate::terms::Timestamp;
use made::{Dice, Made};
use proptest::prelude::*;
use proptest::sample::Index;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// What was read, written again.
fn reread<T: Serialize + DeserializeOwned>(text: &[u8]) -> Option<Vec<u8>> {
    let value: T = serde_json::from_slice(text).ok()?;
    Some(serde_json::to_vec(&value).unwrap())
}

fn check<T: Serialize + DeserializeOwned + Debug>(value: &T, at: Index, to: u8) -> Result<(), TestCaseError> {
    let text = serde_json::to_vec(value).unwrap();
    let read: T = serde_json::from_slice(&text).unwrap();
    prop_assert_eq!(format!("{read:?}"), format!("{value:?}"));
    prop_assert_eq!(reread::<T>(&text), Some(text.clone()));
    let at = at.index(text.len());
    let mut altered = text.clone();
    altered[at] = to;
    if let Some(again) = reread::<T>(&altered) {
        prop_assert_eq!(reread::<T>(&again), Some(again.clone()));
    }
    prop_assert_eq!(reread::<T>(&text[..at]), None, "cut");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_command_reads_as_it_was_said(bytes in any::<[u8; 64]>(), at in any::<Index>(), to in any::<u8>()) {
        for command in Command::each(&mut Dice::new(&bytes)) {
            check(&command, at, to)?;
        }
    }

    #[test]
    fn every_answer_reads_as_it_was_said(bytes in any::<[u8; 64]>(), at in any::<Index>(), to in any::<u8>()) {
        for answer in Answer::each(&mut Dice::new(&bytes)) {
            check(&answer, at, to)?;
        }
    }

    #[test]
    fn every_problem_reads_as_it_was_said(bytes in any::<[u8; 64]>(), at in any::<Index>(), to in any::<u8>()) {
        let mut dice = Dice::new(&bytes);
        check(&Problem::made(&mut dice), at, to)?;
        check(&VaultInfo::made(&mut dice), at, to)?;
    }

    #[test]
    fn a_time_is_read_up_to_the_last_one(millis in any::<u64>()) {
        let read = serde_json::from_str::<Timestamp>(&millis.to_string()).ok();
        prop_assert_eq!(read, (millis <= Timestamp::MAX.as_millis()).then(|| Timestamp::from_millis(millis)));
        let past = Timestamp::MAX.as_millis() + 1;
        prop_assert!(serde_json::from_str::<Timestamp>(&past.to_string()).is_err());
    }
}
