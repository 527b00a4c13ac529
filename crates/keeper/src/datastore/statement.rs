//! The common dialect: a scan of each statement that refuses what only one engine understands, and finds its parameters.

use super::error::{Error, Result};
use super::value::Value;
use std::fmt::Write as _;

/// The most parameters one statement may have (SQLite's limit; PostgreSQL's is twice that).
pub const MAX_PARAMETERS: usize = 32_766;

/// `($1, $2), ($3, $4)`: the parameters of a multi-row insert.
pub fn tuples(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * (columns * 6 + 2));
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=columns {
            let comma = if column == 1 { "" } else { ", " };
            // INVARIANT: writing to a String cannot fail.
            let _ = write!(text, "{comma}${}", row * columns + column);
        }
        text.push(')');
    }
    text
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// SELECT or VALUES.
    Select,
    /// INSERT, UPDATE or DELETE.
    Change,
    /// WITH: either.
    With,
}

/// A statement that passed.
#[derive(Debug)]
pub(super) struct Statement {
    pub verb: Verb,
    /// Parameter numbers (from 1) in the order of their first appearance: SQLite's own numbering.
    pub order: Vec<u16>,
}

/// Checks `sql` against the dialect and `values` against its parameters.
pub(super) fn scan(sql: &str, values: &[Value<'_>]) -> Result<Statement> {
    let verb = verb(sql)?;
    if values.len() > MAX_PARAMETERS {
        return Err(Error::TooLarge { what: "the list of parameters", max: MAX_PARAMETERS });
    }
    values.iter().try_for_each(Value::check)?;
    let order = parameters(sql, values.len())?;
    if order.len() == values.len() {
        Ok(Statement { verb, order })
    } else {
        Err(Error::Misuse("a statement does not use each of its values"))
    }
}

fn verb(sql: &str) -> Result<Verb> {
    let end = sql.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(sql.len());
    match sql.get(..end).unwrap_or_default() {
        "SELECT" | "VALUES" => Ok(Verb::Select),
        "INSERT" | "UPDATE" | "DELETE" => Ok(Verb::Change),
        "WITH" => Ok(Verb::With),
        _ => Err(Error::Misuse("a statement starts with none of SELECT VALUES INSERT UPDATE DELETE WITH")),
    }
}

fn parameters(sql: &str, count: usize) -> Result<Vec<u16>> {
    let bytes = sql.as_bytes();
    let mut order = Vec::with_capacity(count);
    let mut seen = vec![false; count];
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied();
        match (byte, next) {
            // E'', X'' and B'' mean different things, or nothing.
            (b'\'', _) if at > 0 && bytes.get(at - 1).is_some_and(u8::is_ascii_alphanumeric) => {
                return Err(Error::Misuse("a statement is outside the common dialect"));
            }
            (b'\'', _) => {
                let len = bytes.get(at + 1..).unwrap_or_default().iter().position(|b| *b == b'\'');
                at += len.ok_or(Error::Misuse("a statement has an open quote"))? + 1;
            }
            (b'"' | b'?' | b';' | b'\\' | b'`', _) | (b':', Some(b':')) | (b'-', Some(b'-')) | (b'/', Some(b'*')) => {
                return Err(Error::Misuse("a statement is outside the common dialect"));
            }
            (b'$', _) => {
                let digits = bytes.get(at + 1..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
                let number = sql.get(at + 1..at + 1 + digits).and_then(|text| text.parse::<u16>().ok());
                let number = number.filter(|number| *number > 0).ok_or(Error::Misuse("a parameter is not `$n`"))?;
                let seen = seen.get_mut(usize::from(number) - 1);
                if !std::mem::replace(seen.ok_or(Error::Misuse("a parameter has no value"))?, true) {
                    order.push(number);
                }
                at += digits;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_by_first_appearance() {
        let values = [Value::from(1), Value::from(2), Value::from(3)];
        assert_eq!(scan("SELECT $3, $1, $3, '$9', $2", &values).unwrap().order, [3, 1, 2]);
    }

    #[test]
    fn a_value_without_parameter_and_a_parameter_without_value_are_refused() {
        let values = [Value::from(1), Value::from(2)];
        for sql in ["SELECT $1", "SELECT $2", "SELECT $1, $2, $3", "SELECT $0, $1, $2", "SELECT $x, $1, $2"] {
            assert!(matches!(scan(sql, &values), Err(Error::Misuse(_))), "{sql}");
        }
    }

    #[test]
    fn other_dialects_are_refused() {
        for sql in [
            "SELECT 1::bigint",
            "SELECT \"a\"",
            "SELECT ?1",
            "SELECT 1; SELECT 2",
            "SELECT 1 -- x",
            "SELECT /* x */ 1",
            "SELECT 'open",
            "PRAGMA user_version",
            "BEGIN",
            "COMMIT",
            " SELECT 1",
            "select 1",
            "ATTACH 'x' AS y",
            "SELECT E'\\x00'",
            "SELECT X'00'",
        ] {
            assert!(scan(sql, &[]).is_err(), "{sql}");
        }
        assert_eq!(scan("SELECT 'a''b;--::'", &[]).unwrap().verb, Verb::Select);
    }

    #[test]
    fn nul_bytes_and_long_values_are_refused() {
        assert!(scan("SELECT $1", &[Value::from("a\0b")]).is_err());
        let long = vec![0_u8; super::super::value::MAX_VALUE_LEN + 1];
        assert!(matches!(scan("SELECT $1", &[Value::from(&long)]), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn tuples_number_their_parameters() {
        assert_eq!(tuples(2, 3), "($1, $2, $3), ($4, $5, $6)");
        assert_eq!(tuples(0, 3), "");
    }
}
