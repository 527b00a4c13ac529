//! Deterministic CBOR: fixed arrays only; what decodes must encode to the same bytes.

use minicbor::{Decoder, data::Type};

use crate::Fault;

/// Bytes that are not what their format says. The text names the rule that was broken, never the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {0}")]
pub struct Malformed(pub(crate) &'static str);

impl Malformed {
    /// Whose fault this is: whoever wrote the bytes.
    pub fn fault(self) -> Fault {
        Fault::Hostile
    }
}

/// Writes the shortest encodings into memory; cannot fail.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// With room for `len` bytes, so that secrets are not left behind by growing.
    pub(crate) fn with_capacity(len: usize) -> Self {
        Self(Vec::with_capacity(len))
    }

    /// In a buffer that was used before; what it holds is forgotten.
    pub(crate) fn reusing(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self(buffer)
    }

    /// The initial byte and argument of an item (RFC 8949, section 3).
    fn head(&mut self, major: u8, value: u64) -> &mut Self {
        let bytes = value.to_be_bytes();
        let (info, skip) = match value {
            0..24 => (value as u8, 8),
            24..0x100 => (24, 7),
            0x100..0x1_0000 => (25, 6),
            0x1_0000..0x1_0000_0000 => (26, 4),
            _ => (27, 0),
        };
        self.0.push(major << 5 | info);
        self.0.extend(bytes.iter().skip(skip));
        self
    }

    pub(crate) fn array(&mut self, len: usize) -> &mut Self {
        self.head(4, len as u64)
    }

    pub(crate) fn uint(&mut self, value: u64) -> &mut Self {
        self.head(0, value)
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.head(2, value.len() as u64).raw(value)
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.head(3, value.len() as u64).raw(value.as_bytes())
    }

    pub(crate) fn null(&mut self) -> &mut Self {
        self.raw(&[0xf6])
    }

    pub(crate) fn optional_bytes(&mut self, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(value) => self.bytes(value),
            None => self.null(),
        }
    }

    pub(crate) fn optional_uint(&mut self, value: Option<u64>) -> &mut Self {
        match value {
            Some(value) => self.uint(value),
            None => self.null(),
        }
    }

    /// Appends something that is already encoded.
    pub(crate) fn raw(&mut self, encoded: &[u8]) -> &mut Self {
        self.0.extend_from_slice(encoded);
        self
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads from a slice; every length is checked against the caller's maximum.
pub(crate) struct Reader<'b>(Decoder<'b>);

type Read<T> = Result<T, Malformed>;

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(Decoder::new(bytes))
    }

    /// An array of exactly `len` items.
    pub(crate) fn array(&mut self, len: u64, what: &'static str) -> Read<()> {
        if matches!(self.0.array(), Ok(Some(found)) if found == len) { Ok(()) } else { Err(Malformed(what)) }
    }

    /// An array of at most `max` items: how many.
    pub(crate) fn array_up_to(&mut self, max: usize, what: &'static str) -> Read<usize> {
        match self.0.array() {
            Ok(Some(len)) => usize::try_from(len).ok().filter(|len| *len <= max).ok_or(Malformed(what)),
            _ => Err(Malformed(what)),
        }
    }

    pub(crate) fn uint(&mut self, what: &'static str) -> Read<u64> {
        self.0.u64().map_err(|_| Malformed(what))
    }

    pub(crate) fn uint_up_to(&mut self, max: u64, what: &'static str) -> Read<u64> {
        self.uint(what).and_then(|value| if value <= max { Ok(value) } else { Err(Malformed(what)) })
    }

    pub(crate) fn byte_up_to(&mut self, max: u8, what: &'static str) -> Read<u8> {
        self.0.u8().ok().filter(|value| *value <= max).ok_or(Malformed(what))
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Read<u16> {
        self.0.u16().map_err(|_| Malformed(what))
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Read<u32> {
        self.0.u32().map_err(|_| Malformed(what))
    }

    pub(crate) fn bytes(&mut self, max: usize, what: &'static str) -> Read<&'b [u8]> {
        self.0.bytes().ok().filter(|value| value.len() <= max).ok_or(Malformed(what))
    }

    pub(crate) fn fixed<const N: usize>(&mut self, what: &'static str) -> Read<[u8; N]> {
        self.0.bytes().ok().and_then(|value| value.try_into().ok()).ok_or(Malformed(what))
    }

    pub(crate) fn text(&mut self, expected: &str, what: &'static str) -> Read<()> {
        if matches!(self.0.str(), Ok(found) if found == expected) { Ok(()) } else { Err(Malformed(what)) }
    }

    /// Is the next item null? Then it is consumed.
    pub(crate) fn null(&mut self) -> bool {
        matches!(self.0.datatype(), Ok(Type::Null)) && self.0.null().is_ok()
    }

    pub(crate) fn optional_fixed<const N: usize>(&mut self, what: &'static str) -> Read<Option<[u8; N]>> {
        if self.null() { Ok(None) } else { self.fixed(what).map(Some) }
    }

    pub(crate) fn optional_byte_up_to(&mut self, max: u8, what: &'static str) -> Read<Option<u8>> {
        if self.null() { Ok(None) } else { self.byte_up_to(max, what).map(Some) }
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Read<()> {
        if self.0.position() == self.0.input().len() { Ok(()) } else { Err(Malformed("trailing bytes")) }
    }
}

/// What decodes must encode to the same bytes: there is one encoding of each value.
pub(crate) fn same(bytes: &[u8], encoded: &[u8]) -> Read<()> {
    if bytes == encoded { Ok(()) } else { Err(Malformed("not the deterministic encoding")) }
}
