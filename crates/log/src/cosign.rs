//! The message that an ML-DSA-44 line signs: C2SP `tlog-cosignature`, type 0x06 (`spec/log.md#checkpoint`).

use crate::checkpoint::Checkpoint;
use crate::note::NoteError;

/// Length of an ML-DSA-44 signature in bytes.
pub const MLDSA_SIGNATURE_LEN: usize = 2420;
/// Length of a timestamped signature in bytes.
pub const TIMESTAMPED_LEN: usize = 8 + MLDSA_SIGNATURE_LEN;
/// The last time that can be signed.
pub const MAX_TIME: u64 = i64::MAX as u64;

const LABEL: &[u8; 12] = b"subtree/v1\n\0";

/// The `cosigned_message` for a whole tree: start 0, end size.
///
/// # Errors
/// [`NoteError::Name`] when the cosigner's name or the origin does not fit one length byte.
pub fn message(cosigner: &str, time: u64, checkpoint: &Checkpoint) -> Result<Vec<u8>, NoteError> {
    let mut out = LABEL.to_vec();
    push_name(&mut out, cosigner)?;
    out.extend_from_slice(&time.to_be_bytes());
    push_name(&mut out, &checkpoint.origin.to_string())?;
    out.extend_from_slice(&0_u64.to_be_bytes());
    out.extend_from_slice(&checkpoint.size.to_be_bytes());
    out.extend_from_slice(checkpoint.root.as_bytes());
    Ok(out)
}

/// Splits a timestamped signature into its time and the signature.
///
/// # Errors
/// [`NoteError::Signature`] when the length or the time is not acceptable.
pub fn split(timestamped: &[u8]) -> Result<(u64, &[u8]), NoteError> {
    let (time, signature) = timestamped.split_first_chunk::<8>().ok_or(NoteError::Signature)?;
    let time = u64::from_be_bytes(*time);
    if signature.len() != MLDSA_SIGNATURE_LEN || time > MAX_TIME {
        return Err(NoteError::Signature);
    }
    Ok((time, signature))
}

fn push_name(out: &mut Vec<u8>, name: &str) -> Result<(), NoteError> {
    let len = u8::try_from(name.len()).ok().filter(|&len| len > 0).ok_or(NoteError::Name)?;
    out.push(len);
    out.extend_from_slice(name.as_bytes());
    Ok(())
}
