//! RFC 8785 (JCS) for the JSON that stands in the log and in rows: strings, integers, booleans, null, arrays, objects; no fractions.

use serde_json::Value;
use std::cmp::Ordering;

use crate::Fault;

/// The deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 16;
/// The greatest magnitude of an integer: 2^53.
pub const MAX_INTEGER: u64 = 1 << 53;

/// Why JSON was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JcsError {
    /// Not JSON, or longer than allowed.
    #[error("not JSON")]
    Malformed,
    /// JSON, but not its canonical form.
    #[error("not in canonical form")]
    NotCanonical,
    /// A number that is not an integer between -2^53 and 2^53.
    #[error("a number that is not an integer within 2^53")]
    Number,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested too deep")]
    Depth,
}

impl JcsError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        Fault::Hostile
    }
}

/// Writes the canonical form.
///
/// # Errors
/// [`JcsError::Number`] or [`JcsError::Depth`].
pub fn to_vec(value: &Value) -> Result<Vec<u8>, JcsError> {
    let mut out = Vec::new();
    write(&mut out, value, 0)?;
    Ok(out)
}

/// Reads bytes that must be in canonical form.
///
/// # Errors
/// [`JcsError`]; in particular [`JcsError::NotCanonical`] for spaces, other orders or escapes, and duplicate members.
pub fn parse(bytes: &[u8], max_len: usize) -> Result<Value, JcsError> {
    if bytes.len() > max_len {
        return Err(JcsError::Malformed);
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|_| JcsError::Malformed)?;
    if to_vec(&value)? == bytes { Ok(value) } else { Err(JcsError::NotCanonical) }
}

fn write(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), JcsError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            let within = match (number.as_u64(), number.as_i64()) {
                (Some(n), _) => n <= MAX_INTEGER,
                (None, Some(n)) => n.unsigned_abs() <= MAX_INTEGER,
                (None, None) => false,
            };
            if !within {
                return Err(JcsError::Number);
            }
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::String(text) => string(out, text),
        Value::Array(items) => {
            let depth = deeper(depth)?;
            out.push(b'[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write(out, item, depth)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let depth = deeper(depth)?;
            let mut sorted: Vec<_> = members.iter().collect();
            // RFC 8785 section 3.2.3: by UTF-16 code units.
            sorted.sort_by(|(a, _), (b, _)| by_utf_16(a, b));
            out.push(b'{');
            for (n, (name, member)) in sorted.into_iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                string(out, name);
                out.push(b':');
                write(out, member, depth)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Of ASCII the order of its bytes is that one.
fn by_utf_16(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

fn deeper(depth: usize) -> Result<usize, JcsError> {
    if depth == MAX_DEPTH { Err(JcsError::Depth) } else { Ok(depth + 1) }
}

/// A string with the escapes of RFC 8785 section 3.2.2.2.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, tail)) = tail.split_first() else { break };
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            _ => 0,
        };
        if short == 0 {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_string_examples_of_rfc_8785() {
        let value: Value = serde_json::from_str(r#""\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/""#).unwrap();
        assert_eq!(to_vec(&value).unwrap(), "\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"".as_bytes());
    }

    #[test]
    fn members_are_sorted_by_utf_16() {
        let text = r#"{"\ufb33":7,"\ud83d\ude00":6,"\u20ac":5,"\u00f6":4,"\u0080":3,"1":2,"\r":1}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        let out = String::from_utf8(to_vec(&value).unwrap()).unwrap();
        assert_eq!(out, "{\"\\r\":1,\"1\":2,\"\u{80}\":3,\"ö\":4,\"€\":5,\"😀\":6,\"\u{fb33}\":7}");
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        for bad in [r#"{ }"#, r#"{"b":1,"a":2}"#, r#"{"a":1,"a":1}"#, r#""\u0041""#, r#""\/""#, "01", "1 ", "-0"] {
            assert!(parse(bad.as_bytes(), 100).is_err(), "{bad}");
        }
        for (bad, error) in
            [("1.5", JcsError::Number), ("1e3", JcsError::Number), ("9007199254740993", JcsError::Number)]
        {
            assert_eq!(parse(bad.as_bytes(), 100), Err(error), "{bad}");
        }
        assert_eq!(parse("[".repeat(17).as_bytes(), 100), Err(JcsError::Malformed));
        let deep = format!("{}{}", "[".repeat(17), "]".repeat(17));
        assert_eq!(parse(deep.as_bytes(), 100), Err(JcsError::Depth));
        assert_eq!(parse(b"[1]", 2), Err(JcsError::Malformed));
        assert!(parse(br#"{"a":-9007199254740992,"b":[null,true]}"#, 100).is_ok());
    }
}
