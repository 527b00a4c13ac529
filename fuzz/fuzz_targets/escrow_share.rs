//! A share of an escrow as it is typed: what is read is shown in one form, which reads the same; no vault takes it for its own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::Suite;
use seal::escrow::{Error, Escrow, Share};

fuzz_target!(|data: &[u8]| {
    kept(data);
    let Ok(share) = Share::parse(data) else { return };
    let text = share.expose_text();
    assert_eq!(groups(data), groups(text.as_bytes()));
    let again = Share::parse(text.as_bytes()).expect("it reads as it is shown");
    assert_eq!(again.expose_text().as_str(), text.as_str());
    assert!(share.terms().is_bounded() && (1..=share.terms().shares).contains(&share.number()));
});

/// What a vault keeps of an escrow, and its parameters: one encoding of each.
fn kept(data: &[u8]) {
    let (vault, root) = ([1; 16], [2; 16]);
    for suite in Suite::ALL {
        if let Ok(escrow) = Escrow::decode(suite, &vault, &root, data) {
            assert_eq!(escrow.encode(), data);
            let need = escrow.terms().threshold;
            assert_eq!(escrow.combine(&[]).err(), Some(Error::TooFew { have: 0, need }));
        }
        if let Ok((escrow, sealed)) = Escrow::from_params(suite, &vault, &root, data) {
            assert_eq!(escrow.params(&sealed), data);
        }
    }
}

/// What counts of a text: neither comments nor what people put between groups.
fn groups(text: &[u8]) -> Vec<u8> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| line.trim_ascii().first() != Some(&b'#'));
    let typed = lines.flatten().filter(|byte| !byte.is_ascii_whitespace() && **byte != b'-');
    typed.map(|byte| match byte.to_ascii_uppercase() { b'O' => b'0', b'I' | b'L' => b'1', other => other }).collect()
}
