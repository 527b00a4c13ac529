//! Escrow: a recovery root whose code is in several hands (`spec/keys.md#escrow`).
//!
//! The key of the private half is derived from a seed that is split when the root is made, and wiped: M of N shares give it again, and
//! M - 1 tell nothing. The vault keeps a commitment to every share, so that a wrong one is named before it is used. The pair, its sealed
//! half and the keys sealed to it are those of [`crate::recovery`].
//!
//! ```
//! use seal::Suite;
//! use seal::escrow::{Escrow, Share, Terms};
//! use seal::recovery::Pair;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (suite, vault, root) = (Suite::Default, [1; 16], [2; 16]);
//! let terms = Terms { vault, root, generation: 1, made_ms: 1_790_000_000_000, threshold: 2, shares: 3 };
//! let (escrow, seed, shares) = Escrow::create(suite, terms)?;
//! let pair = Pair::generate(suite)?;
//! let sealed = pair.seal(&seed.root_key(suite, &vault, &root)?, &vault, &root)?;
//! drop(seed);
//!
//! // Years later, from two sheets of paper.
//! let typed = [shares[2].expose_text(), shares[0].expose_text()];
//! let shares = [Share::parse(typed[0].as_bytes())?, Share::parse(typed[1].as_bytes())?];
//! let seed = escrow.combine(&shares)?;
//! let again = Pair::open(&seed.root_key(suite, &vault, &root)?, suite, &vault, &root, &sealed)?;
//! assert_eq!(again.public(), pair.public());
//! # Ok(())
//! # }
//! ```

mod share;
mod sharing;

pub use share::{MAX_TEXT_LEN, SHARE_GROUPS, Share};

use subtle::ConstantTimeEq;

use crate::cbor::{Malformed, Reader, Writer, same};
use crate::label::{Context, Label};
use crate::recovery::PRIVATE_SEALED_LEN;
use crate::secret::{EscrowSeed, RootKey, ShareKey};
use crate::{Fault, Id, Suite, derive, entropy};

/// The fewest shares that may be enough: one would be a copy of the seed in each hand.
pub const MIN_THRESHOLD: u8 = 2;
/// The most shares: they are for people, who are asked by name.
pub const MAX_SHARES: u8 = 16;
/// The latest time of creation, in milliseconds since 1970: the end of the year 9999.
pub const MAX_MADE_MS: u64 = 253_402_300_799_999;
/// The most bytes of what a vault keeps of an escrow.
pub const MAX_ESCROW_LEN: usize = 33 + MAX_SHARES as usize * (COMMITMENT_LEN + 2);
/// The most bytes of an escrow's parameters in `vault.json`.
pub const MAX_PARAMS_LEN: usize = 4 + MAX_ESCROW_LEN + PRIVATE_SEALED_LEN;

const FORM: u64 = 1;
const COMMITMENT_LEN: usize = 32;
const FINGERPRINT_LEN: usize = 16;

/// What is wrong with a share, with several together, or with what the vault says of them. Shares are named by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A number of shares, a threshold, a generation or a time that no escrow has.
    #[error("an escrow has 2 to 16 shares, of which at least 2 are needed")]
    Bounds,
    /// More text than a share has.
    #[error("the text of a share has at most {MAX_TEXT_LEN} bytes")]
    Long,
    /// Not so many groups of so many characters, or numbers in it that no share has.
    #[error("a share has 32 groups of five letters and digits")]
    Form,
    /// A group whose check does not hold, from 1.
    #[error("group {0} of the share has a slip in it")]
    Slip(usize),
    /// Each group holds and the whole does not.
    #[error("the share has more than one slip in it: its checksum does not hold")]
    Checksum,
    /// Made by a newer program.
    #[error("the share is of form {0}, which this program does not know")]
    Version(u8),
    /// A share of another vault.
    #[error("share {0} is of another vault")]
    Foreign(u8),
    /// A share of an earlier escrow of this vault.
    #[error("share {share} is outdated: it is of escrow {generation} of this vault")]
    Outdated {
        /// Its number.
        share: u8,
        /// Which escrow it is of.
        generation: u16,
    },
    /// A share of an escrow of this vault that it knows nothing of: the vault is an older copy.
    #[error("share {share} is of escrow {generation} of this vault, which this copy of the vault does not know")]
    Unknown {
        /// Its number.
        share: u8,
        /// Which escrow it says it is of.
        generation: u16,
    },
    /// Not the share that was made.
    #[error("share {0} was altered")]
    Altered(u8),
    /// The same share twice.
    #[error("share {0} is there twice")]
    Duplicate(u8),
    /// Good shares, and not enough of them.
    #[error("{have} of the {need} shares that are needed")]
    TooFew {
        /// How many there are.
        have: u8,
        /// How many are needed.
        need: u8,
    },
    /// Every share is the one that was made, and together they are not the seed.
    #[error("what the vault keeps of the escrow was altered")]
    Seed,
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] entropy::Unavailable),
    /// The derivation or the splitting failed.
    #[error("the shares could not be computed")]
    Cipher,
}

impl Error {
    /// Whose fault this is.
    pub fn fault(self) -> Fault {
        match self {
            Self::Bounds | Self::Long | Self::Form | Self::Slip(_) | Self::Checksum | Self::Version(_) => Fault::Misuse,
            Self::Duplicate(_) | Self::TooFew { .. } => Fault::Misuse,
            Self::Foreign(_) | Self::Outdated { .. } | Self::Unknown { .. } | Self::Altered(_) | Self::Seed => {
                Fault::Hostile
            }
            Self::Entropy(error) => error.fault(),
            Self::Cipher => Fault::Bug,
        }
    }
}

impl From<derive::Failed> for Error {
    fn from(_: derive::Failed) -> Self {
        Self::Cipher
    }
}

/// What all shares of an escrow say, and the vault too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// The vault.
    pub vault: Id,
    /// The id of the root.
    pub root: Id,
    /// Which escrow of the vault it is, from 1.
    pub generation: u16,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: u64,
    /// How many shares are needed.
    pub threshold: u8,
    /// How many there are.
    pub shares: u8,
}

impl Terms {
    /// Whether an escrow can have them.
    pub fn is_bounded(&self) -> bool {
        (MIN_THRESHOLD..=self.shares).contains(&self.threshold)
            && self.shares <= MAX_SHARES
            && self.generation > 0
            && self.made_ms <= MAX_MADE_MS
    }

    /// The time in the six bytes that hold it.
    fn made(&self) -> [u8; 6] {
        let [_, _, made @ ..] = self.made_ms.to_be_bytes();
        made
    }
}

impl EscrowSeed {
    /// The key that seals the private half, and authenticates what a vault says of this root.
    ///
    /// # Errors
    /// [`Error::Cipher`].
    pub fn root_key(&self, suite: Suite, vault: &Id, root: &Id) -> Result<RootKey, Error> {
        let info = Context::new(Label::EscrowRoot, suite).field(vault).field(root).into_bytes();
        RootKey::fill_with(|out| derive::expand(self.expose_bytes(), &info, out)).map_err(Error::from)
    }
}

/// What the vault keeps of an escrow: nothing of it is secret, and nothing of it opens anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escrow {
    suite: Suite,
    terms: Terms,
    /// Of the seed.
    fingerprint: [u8; FINGERPRINT_LEN],
    /// To the shares, in their order.
    commitments: Vec<[u8; COMMITMENT_LEN]>,
}

impl Escrow {
    /// A fresh seed, split. The seed is to be dropped as soon as the private half is sealed.
    ///
    /// # Errors
    /// [`Error::Bounds`], [`Error::Entropy`]; [`Error::Cipher`] if not every choice of shares gives the seed again.
    pub fn create(suite: Suite, terms: Terms) -> Result<(Self, EscrowSeed, Vec<Share>), Error> {
        if !terms.is_bounded() {
            return Err(Error::Bounds);
        }
        let seed = EscrowSeed::generate()?;
        let keys = sharing::split(&seed, terms.threshold, terms.shares)?;
        let shares: Vec<Share> = (1..).zip(keys).map(|(number, key)| Share::new(terms, number, key)).collect();
        let fingerprint = derive::fingerprint(seed.expose_bytes(), suite, &terms.vault, &terms.root)?;
        let commitments = shares.iter().map(|share| share.commitment(suite)).collect::<Result<_, _>>()?;
        let escrow = Self { suite, terms, fingerprint, commitments };
        // Neighbouring windows share all points but one, so if each gives the seed, all shares lie on one polynomial.
        for window in shares.windows(terms.threshold.into()) {
            let again = escrow.combine(window).map_err(|_| Error::Cipher)?;
            if !bool::from(again.ct_eq(&seed)) {
                return Err(Error::Cipher);
            }
        }
        Ok((escrow, seed, shares))
    }

    /// What it was made with.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Whether a share is one of this escrow's, as it was made.
    ///
    /// # Errors
    /// [`Error::Foreign`], [`Error::Outdated`], [`Error::Unknown`], [`Error::Altered`].
    pub fn check(&self, share: &Share) -> Result<(), Error> {
        let (ours, theirs, number) = (&self.terms, share.terms(), share.number());
        if theirs.vault != ours.vault {
            return Err(Error::Foreign(number));
        }
        if theirs.root != ours.root {
            let (share, generation) = (number, theirs.generation);
            let earlier = generation < ours.generation;
            return Err(if earlier {
                Error::Outdated { share, generation }
            } else {
                Error::Unknown { share, generation }
            });
        }
        let kept = self.commitments.get(usize::from(number).wrapping_sub(1)).ok_or(Error::Altered(number))?;
        let same = bool::from(share.commitment(self.suite)?.ct_eq(kept));
        if same && theirs == ours { Ok(()) } else { Err(Error::Altered(number)) }
    }

    /// The seed, from shares in any order. One wrong share is enough to be refused, also if the others are enough.
    ///
    /// # Errors
    /// Those of [`Self::check`] for the first share that has one; then [`Error::Duplicate`], [`Error::TooFew`], [`Error::Seed`].
    pub fn combine(&self, shares: &[Share]) -> Result<EscrowSeed, Error> {
        shares.iter().try_for_each(|share| self.check(share))?;
        let mut places: Vec<(u8, &ShareKey)> = Vec::with_capacity(MAX_SHARES.into());
        for share in shares {
            if places.iter().any(|(number, _)| *number == share.number()) {
                return Err(Error::Duplicate(share.number()));
            }
            places.push((share.number(), share.key()));
        }
        let (have, need) = (places.len() as u8, self.terms.threshold);
        if have < need {
            return Err(Error::TooFew { have, need });
        }
        let seed = sharing::join(places.into_iter().take(need.into()))?;
        let found = derive::fingerprint(seed.expose_bytes(), self.suite, &self.terms.vault, &self.terms.root)?;
        if bool::from(found.ct_eq(&self.fingerprint)) { Ok(seed) } else { Err(Error::Seed) }
    }

    /// The bytes for the root's row. Vault and root are not in them.
    pub fn encode(&self) -> Vec<u8> {
        let terms = &self.terms;
        let mut writer = Writer::with_capacity(MAX_ESCROW_LEN);
        writer.array(6).uint(FORM).uint(terms.generation.into()).uint(terms.made_ms).uint(terms.threshold.into());
        writer.bytes(&self.fingerprint).array(self.commitments.len());
        for commitment in &self.commitments {
            writer.bytes(commitment);
        }
        writer.into_bytes()
    }

    /// What [`Self::encode`] wrote for this root of this vault.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(suite: Suite, vault: &Id, root: &Id, bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_ESCROW_LEN {
            return Err(Malformed("escrow: too long"));
        }
        let mut reader = Reader::new(bytes);
        reader.array(6, "escrow: array")?;
        if reader.uint("escrow: form")? != FORM {
            return Err(Malformed("escrow: unknown form"));
        }
        let generation = reader.u16("escrow: generation")?;
        let made_ms = reader.uint_up_to(MAX_MADE_MS, "escrow: time")?;
        let threshold = reader.byte_up_to(MAX_SHARES, "escrow: threshold")?;
        let fingerprint = reader.fixed("escrow: fingerprint")?;
        let shares = reader.array_up_to(MAX_SHARES.into(), "escrow: shares")?;
        let commitments: Vec<_> = (0..shares).map(|_| reader.fixed("escrow: commitment")).collect::<Result<_, _>>()?;
        reader.end()?;
        let terms =
            Terms { vault: *vault, root: *root, generation, made_ms, threshold, shares: commitments.len() as u8 };
        if !terms.is_bounded() {
            return Err(Malformed("escrow: out of bounds"));
        }
        let escrow = Self { suite, terms, fingerprint, commitments };
        same(bytes, &escrow.encode())?;
        Ok(escrow)
    }

    /// The parameters for `vault.json`: this, and the sealed private half.
    pub fn params(&self, sealed: &[u8]) -> Vec<u8> {
        let mut writer = Writer::with_capacity(MAX_PARAMS_LEN);
        writer.array(2).raw(&self.encode()).bytes(sealed);
        writer.into_bytes()
    }

    /// What [`Self::params`] wrote, and the sealed private half.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_params(suite: Suite, vault: &Id, root: &Id, bytes: &[u8]) -> Result<(Self, Vec<u8>), Malformed> {
        let cut = || Malformed("escrow: parameters");
        // An array of two: the escrow, then a string of a length that is known.
        let inner = bytes.strip_prefix(&[0x82]).ok_or_else(cut)?;
        let (escrow, string) =
            inner.len().checked_sub(STRING_LEN).and_then(|at| inner.split_at_checked(at)).ok_or_else(cut)?;
        let escrow = Self::decode(suite, vault, root, escrow)?;
        let sealed = Reader::new(string).fixed::<PRIVATE_SEALED_LEN>("escrow: private half")?;
        same(bytes, &escrow.params(&sealed))?;
        Ok((escrow, sealed.to_vec()))
    }
}

/// The sealed private half as a string of CBOR.
const STRING_LEN: usize = 3 + PRIVATE_SEALED_LEN;

#[cfg(test)]
mod tests;
