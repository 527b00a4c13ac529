//! A recovery code as it is typed: what is read is shown in one form, which reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::recovery::Code;

fuzz_target!(|data: &[u8]| {
    let Ok(code) = Code::parse(data) else { return };
    let text = code.expose_text();
    let plain = |bytes: &[u8]| -> Vec<u8> {
        let typed = bytes.iter().filter(|byte| !byte.is_ascii_whitespace() && **byte != b'-');
        typed.map(|byte| match byte.to_ascii_uppercase() { b'O' => b'0', b'I' | b'L' => b'1', other => other }).collect()
    };
    assert_eq!(plain(data), plain(text.as_bytes()));
    let again = Code::parse(text.as_bytes()).expect("it reads as it is shown");
    assert_eq!(again.expose_text().as_str(), text.as_str());
});
