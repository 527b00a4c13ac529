//! Any text is a policy set or is refused; what is taken decides without a panic and replays; lint never panics.
#![no_main]

use api::terms::Timestamp;
use libfuzzer_sys::fuzz_target;
use policy::{Pins, Set, Source, lint, replay, test};

/// One question, asked of whatever was taken.
const CASE: &str = r#"{"principals":{"a":{"clearance":"restricted","roles":{"*":["owner"]}}},
    "artifacts":{"x":{"workspace":"w","class":"restricted"}},
    "cases":[{"name":"c","principal":"a","action":"read","resource":{"artifact":"x"},"expect":"deny"}]}"#;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let sources = [Source { name: "fuzz".to_owned(), text: text.to_owned() }];
    for finding in lint(&sources, Timestamp::from_millis(0)) {
        assert!(finding.position.is_none_or(|at| at.line >= 1 && at.column >= 1));
    }
    if let Ok(set) = Set::load_with(&sources, Pins::Waived) {
        assert_eq!(Set::load_with(&sources, Pins::Waived).map(|again| again.hash()).ok(), Some(set.hash()));
        test(&set, CASE).expect("a case file");
        // Pinned guardrails can only be there if the text repeats them.
        assert!(Set::load(&sources).is_err() || text.contains("duties-people"));
    }
    // Bytes as a record: read back to the byte, or refused.
    let (slice, context) = data.split_at(data.len() / 2);
    let record = policy::Record { slice: slice.to_vec(), context: context.to_vec(), salt: [0; 16] };
    if let Ok(empty) = Set::load_with(&[], Pins::Waived)
        && let Ok(answer) = replay(&empty, &record, None)
    {
        assert!(!answer.allowed && answer.record == record);
    }
});
