//! AES-GCM inside a token, and who chooses the IV.
//!
//! PKCS#11 has the caller choose it. Some tokens insist on their own and tell it in one of three ways: written over the caller's
//! buffer, behind the tag, or before the ciphertext. Which of them it was is not guessed: the reading that opens again is kept.

use super::answer::{self, Opened};
use super::error::{Result, TokenError};
use super::wrapped::{BODY_LEN, IV_LEN, MAX_IV_LEN, TAG_LEN, Wrapped};
use super::{MAX_WRAPS, SECRET_LEN};
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use std::sync::atomic::{AtomicU64, Ordering};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const TAG_BITS: Ulong = Ulong::new(TAG_LEN as std::ffi::c_ulong * 8);

/// What was asked of a token.
pub(super) struct Counts {
    /// Encryptions and decryptions.
    pub(super) calls: AtomicU64,
    /// Encryptions under this key.
    pub(super) wraps: AtomicU64,
}

impl Counts {
    pub(super) fn new(wrapped_before: u64) -> Self {
        Self { calls: AtomicU64::new(0), wraps: AtomicU64::new(wrapped_before) }
    }
}

/// What stands where the caller's IV belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    /// Random bytes.
    Random,
    /// Zeros, for the token to write over.
    Blank,
    /// Nothing.
    Nothing,
}

/// A secret, opened.
pub(super) type Secret = Box<Zeroizing<[u8; SECRET_LEN]>>;

/// How this token takes its IVs, and what it was seen to do right.
#[derive(Debug)]
pub(super) struct Gcm {
    offer: Offer,
    /// It has wrapped so before.
    settled: bool,
    last_iv: Vec<u8>,
    /// A context and a wrap that opened: tells a refusal from an illness where a token's code does not.
    witness: Option<(Vec<u8>, Wrapped)>,
}

impl Gcm {
    pub(super) fn new() -> Self {
        Self { offer: Offer::Random, settled: false, last_iv: Vec::new(), witness: None }
    }

    /// Encrypts under an IV that was never used before, and opens the result again.
    pub(super) fn wrap(
        &mut self,
        (session, key): (&Session, ObjectHandle),
        counts: &Counts,
        context: &[u8],
        secret: &[u8; SECRET_LEN],
    ) -> Result<Wrapped> {
        let (iv, out) = self.encrypt((session, key), counts, context, secret)?;
        let mut stale = false;
        for wrapped in readings(&iv, &out) {
            if wrapped.iv.iter().all(|byte| *byte == 0) || wrapped.iv == self.last_iv {
                stale = true;
                continue;
            }
            match decrypt((session, key), counts, context, &wrapped) {
                Ok(opened) if bool::from(opened.ct_eq(secret.as_slice())) => {
                    self.settled = true;
                    self.last_iv.clone_from(&wrapped.iv);
                    self.witness = Some((context.to_vec(), wrapped.clone()));
                    return Ok(wrapped);
                }
                Err(Opened::Trouble(error)) => return Err(error),
                Ok(_) | Err(Opened::Refused | Opened::Vague(_)) => {}
            }
        }
        Err(if stale { TokenError::Iv } else { TokenError::NotKept })
    }

    /// Decrypts. Where the token's answer is vague, what opened before tells whether the bytes or the token are at fault.
    pub(super) fn unwrap(
        &mut self,
        (session, key): (&Session, ObjectHandle),
        counts: &Counts,
        context: &[u8],
        wrapped: &Wrapped,
    ) -> Result<Secret> {
        match decrypt((session, key), counts, context, wrapped) {
            Ok(secret) => {
                self.witness.get_or_insert_with(|| (context.to_vec(), wrapped.clone()));
                Ok(secret)
            }
            Err(Opened::Refused) => Err(TokenError::Refused),
            Err(Opened::Trouble(error)) => Err(error),
            Err(Opened::Vague(error)) => match &self.witness {
                None => Err(TokenError::Refused),
                Some((context, wrapped)) => match decrypt((session, key), counts, context, wrapped) {
                    Ok(_) => Err(TokenError::Refused),
                    Err(Opened::Trouble(error)) => Err(error),
                    Err(Opened::Refused | Opened::Vague(_)) => Err(error),
                },
            },
        }
    }

    /// The IV's buffer and the output. A token that refuses an offer is made the next one, until one was taken.
    fn encrypt(
        &mut self,
        (session, key): (&Session, ObjectHandle),
        counts: &Counts,
        context: &[u8],
        secret: &[u8; SECRET_LEN],
    ) -> Result<(Vec<u8>, Vec<u8>)> {
        loop {
            let mut iv = match self.offer {
                Offer::Random => random::<IV_LEN>()?.to_vec(),
                Offer::Blank => vec![0; IV_LEN],
                Offer::Nothing => Vec::new(),
            };
            if counts.wraps.fetch_add(1, Ordering::Relaxed) >= MAX_WRAPS {
                return Err(TokenError::Spent);
            }
            counts.calls.fetch_add(1, Ordering::Relaxed);
            let params = GcmParams::new(&mut iv, context, TAG_BITS).map_err(answer::plain)?;
            match session.encrypt(&Mechanism::AesGcm(params), key, secret) {
                Ok(out) => return Ok((iv, out)),
                Err(error) if !self.settled && answer::refuses_iv(&error) => {
                    self.offer = match self.offer {
                        Offer::Random => Offer::Blank,
                        Offer::Blank => Offer::Nothing,
                        Offer::Nothing => {
                            self.offer = Offer::Random;
                            return Err(answer::plain(error));
                        }
                    };
                }
                Err(error) => return Err(answer::plain(error)),
            }
        }
    }
}

/// Every way to read what an encryption left.
fn readings(iv: &[u8], out: &[u8]) -> Vec<Wrapped> {
    let more = out.len().saturating_sub(BODY_LEN);
    let split = |at| out.split_at_checked(at).unwrap_or_default();
    let read = match more {
        0 => vec![Wrapped::new(iv, out)],
        IV_LEN..=MAX_IV_LEN => {
            let ((body, behind), (before, rest)) = (split(BODY_LEN), split(more));
            vec![Wrapped::new(behind, body), Wrapped::new(before, rest)]
        }
        _ => Vec::new(),
    };
    read.into_iter().flatten().collect()
}

fn decrypt(
    (session, key): (&Session, ObjectHandle),
    counts: &Counts,
    context: &[u8],
    wrapped: &Wrapped,
) -> std::result::Result<Secret, Opened> {
    let mut iv = wrapped.iv.clone();
    let trouble = |error: Error| Opened::Trouble(answer::plain(error));
    let params = GcmParams::new(&mut iv, context, TAG_BITS).map_err(trouble)?;
    counts.calls.fetch_add(1, Ordering::Relaxed);
    let opened = session.decrypt(&Mechanism::AesGcm(params), key, &wrapped.body).map_err(answer::decrypt)?;
    let opened = Zeroizing::new(opened);
    if opened.len() != SECRET_LEN {
        return Err(Opened::Refused);
    }
    let mut secret = Box::new(Zeroizing::new([0; SECRET_LEN]));
    secret.copy_from_slice(&opened);
    Ok(secret)
}

/// Uniform random bytes of the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut out = [0; N];
    match rustix::rand::getrandom(&mut out, rustix::rand::GetRandomFlags::empty()) {
        Ok(drawn) if drawn == N => Ok(out),
        _ => Err(TokenError::Random),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_read_in_the_ways_that_tokens_write_it() {
        let (iv, body) = ([1; 12], [2; BODY_LEN]);
        assert_eq!(readings(&iv, &body), vec![Wrapped::new(&iv, &body).unwrap()]);
        for chosen in [vec![3; 12], vec![3; 16]] {
            let behind = readings(&iv, &[&body[..], &chosen].concat());
            assert_eq!(behind[0], Wrapped::new(&chosen, &body).unwrap());
            let before = readings(&iv, &[&chosen, &body[..]].concat());
            assert_eq!(before[1], Wrapped::new(&chosen, &body).unwrap());
        }
        for len in [0, 32, 47, 49, 59, 65, 96] {
            assert!(readings(&iv, &vec![0; len]).is_empty());
        }
        assert!(readings(&[], &body).is_empty());
    }
}
