//! The version object: sealed list, sealed map, version record and a trailer in one depot object (`spec/format.md#version-object`).

use std::ops::Range;

use crate::cbor::Malformed;
use crate::record;

/// Length of the trailer, in bytes: a magic number and the record's length.
pub const TRAILER_LEN: usize = 8;

const MAGIC: [u8; 4] = *b"SRV1";

/// Appends the record and the trailer behind list and map, which are already written.
///
/// # Errors
/// [`Malformed`] when the record is longer than [`record::MAX_LEN`].
pub fn append(record: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let len = u32::try_from(record.len()).ok().filter(|_| record.len() <= record::MAX_LEN);
    let len = len.ok_or(Malformed("version object: record too long"))?;
    out.extend_from_slice(record);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&len.to_be_bytes());
    Ok(())
}

/// Where the record is, told by the object's length and its last [`TRAILER_LEN`] bytes. Nothing is proven by this: who wants to know
/// compares the record's digest.
///
/// # Errors
/// [`Malformed`].
pub fn record_range(object_len: u64, trailer: &[u8; TRAILER_LEN]) -> Result<Range<u64>, Malformed> {
    let [m0, m1, m2, m3, l0, l1, l2, l3] = *trailer;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(Malformed("version object: trailer"));
    }
    let len = u64::from(u32::from_be_bytes([l0, l1, l2, l3]));
    let end = object_len.checked_sub(TRAILER_LEN as u64).ok_or(Malformed("version object: too short"))?;
    let start = end.checked_sub(len).ok_or(Malformed("version object: too short"))?;
    if len > record::MAX_LEN as u64 {
        return Err(Malformed("version object: record too long"));
    }
    Ok(start..end)
}
