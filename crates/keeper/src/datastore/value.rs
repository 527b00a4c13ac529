//! Values that go in, rows that come out.

use super::error::{Error, Result};

/// A parameter. Its NULLs are typed (`Value::Text(None)`), because PostgreSQL wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// BIGINT.
    Integer(Option<i64>),
    /// TEXT, without NUL bytes.
    Text(Option<&'a str>),
    /// BYTEA.
    Bytes(Option<&'a [u8]>),
}

/// The longest text or bytes the store carries.
pub const MAX_VALUE_LEN: usize = 16 << 20;

/// The most rows one query may return; page beyond it.
pub const MAX_ROWS: usize = 1 << 18;

impl Value<'_> {
    /// Refuses what one of the engines would refuse.
    pub(super) fn check(&self) -> Result<()> {
        let len = match self {
            Self::Integer(_) | Self::Text(None) | Self::Bytes(None) => 0,
            Self::Text(Some(text)) if text.as_bytes().contains(&0) => {
                return Err(Error::Misuse("a text value holds a NUL byte"));
            }
            Self::Text(Some(text)) => text.len(),
            Self::Bytes(Some(bytes)) => bytes.len(),
        };
        if len > MAX_VALUE_LEN { Err(Error::TooLarge { what: "a value", max: MAX_VALUE_LEN }) } else { Ok(()) }
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(value))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(Some(value))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(Some(value))
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Self::Bytes(Some(value))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(value: &'a [u8; N]) -> Self {
        Self::Bytes(Some(value))
    }
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(value: Option<&'a [u8]>) -> Self {
        Self::Bytes(value)
    }
}

/// One column of a row. A NULL read back has no type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Cell {
    #[default]
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// One row. Columns are numbered from 0; each accessor refuses another type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub(super) cells: Vec<Cell>,
}

impl Row {
    /// The row that a query for these values would give.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn of(values: &[Value<'_>]) -> Self {
        let cell = |value: &Value<'_>| match value {
            Value::Integer(value) => value.map(Cell::Integer),
            Value::Text(value) => value.map(|text| Cell::Text(text.to_owned())),
            Value::Bytes(value) => value.map(|bytes| Cell::Bytes(bytes.to_vec())),
        };
        Self { cells: values.iter().map(|value| cell(value).unwrap_or_default()).collect() }
    }

    /// The integer in `column`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is NULL or not an integer; likewise for the other accessors.
    pub fn integer(&self, column: usize) -> Result<i64> {
        self.integer_or_null(column)?.ok_or_else(|| wrong(column, "an integer"))
    }

    /// The integer or NULL in `column`.
    ///
    /// # Errors
    /// As [`Row::integer`].
    pub fn integer_or_null(&self, column: usize) -> Result<Option<i64>> {
        match self.cell(column)? {
            Cell::Integer(value) => Ok(Some(*value)),
            Cell::Null => Ok(None),
            _ => Err(wrong(column, "an integer")),
        }
    }

    /// The text in `column`.
    ///
    /// # Errors
    /// As [`Row::integer`].
    pub fn text(&self, column: usize) -> Result<&str> {
        self.text_or_null(column)?.ok_or_else(|| wrong(column, "text"))
    }

    /// The text or NULL in `column`.
    ///
    /// # Errors
    /// As [`Row::integer`].
    pub fn text_or_null(&self, column: usize) -> Result<Option<&str>> {
        match self.cell(column)? {
            Cell::Text(value) => Ok(Some(value)),
            Cell::Null => Ok(None),
            _ => Err(wrong(column, "text")),
        }
    }

    /// The bytes in `column`.
    ///
    /// # Errors
    /// As [`Row::integer`].
    pub fn bytes(&self, column: usize) -> Result<&[u8]> {
        self.bytes_or_null(column)?.ok_or_else(|| wrong(column, "bytes"))
    }

    /// The bytes or NULL in `column`.
    ///
    /// # Errors
    /// As [`Row::integer`].
    pub fn bytes_or_null(&self, column: usize) -> Result<Option<&[u8]>> {
        match self.cell(column)? {
            Cell::Bytes(value) => Ok(Some(value)),
            Cell::Null => Ok(None),
            _ => Err(wrong(column, "bytes")),
        }
    }

    /// The `N` bytes in `column`: an id, a digest.
    ///
    /// # Errors
    /// As [`Row::integer`], and if the length differs.
    pub fn array<const N: usize>(&self, column: usize) -> Result<[u8; N]> {
        self.bytes(column)?.try_into().map_err(|_| wrong(column, "bytes of the right length"))
    }

    /// Moves the bytes out of `column`, leaving NULL.
    ///
    /// # Errors
    /// As [`Row::integer`].
    pub fn take_bytes(&mut self, column: usize) -> Result<Vec<u8>> {
        match self.cells.get_mut(column).map(std::mem::take) {
            Some(Cell::Bytes(value)) => Ok(value),
            _ => Err(wrong(column, "bytes")),
        }
    }

    /// Moves the text out of `column`, leaving NULL.
    ///
    /// # Errors
    /// As [`Row::integer`].
    pub fn take_text(&mut self, column: usize) -> Result<String> {
        match self.cells.get_mut(column).map(std::mem::take) {
            Some(Cell::Text(value)) => Ok(value),
            _ => Err(wrong(column, "text")),
        }
    }

    /// How many columns it has.
    pub fn width(&self) -> usize {
        self.cells.len()
    }

    fn cell(&self, column: usize) -> Result<&Cell> {
        self.cells.get(column).ok_or_else(|| wrong(column, "a column"))
    }
}

fn wrong(column: usize, expected: &str) -> Error {
    Error::Corrupt(format!("column {column} of a row is not {expected}"))
}

/// What a statement gave: its rows, and how many it changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) changed: u64,
}

impl Rows {
    /// How many rows an `INSERT`, `UPDATE` or `DELETE` changed; 0 for any other statement.
    pub fn changed(&self) -> u64 {
        self.changed
    }

    /// How many rows were returned.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none was returned.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// In the order of the statement.
    pub fn iter(&self) -> std::slice::Iter<'_, Row> {
        self.rows.iter()
    }

    /// The first row, if any.
    pub fn first(&self) -> Option<&Row> {
        self.rows.first()
    }

    /// The only row, or none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there are more.
    pub fn optional(mut self) -> Result<Option<Row>> {
        match self.rows.len() {
            0 | 1 => Ok(self.rows.pop()),
            _ => Err(Error::Corrupt("a query for one row gave more".into())),
        }
    }

    /// The only row.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is none or more.
    pub fn one(self) -> Result<Row> {
        self.optional()?.ok_or_else(|| Error::Corrupt("a query for one row gave none".into()))
    }
}

impl IntoIterator for Rows {
    type Item = Row;
    type IntoIter = std::vec::IntoIter<Row>;
    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

impl<'a> IntoIterator for &'a Rows {
    type Item = &'a Row;
    type IntoIter = std::slice::Iter<'a, Row>;
    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}
