//! The closed table of labels, and LP encoding (`spec/keys.md#labels`).
//!
//! Every context, derivation and signature starts with exactly one of these labels, so nothing made for one purpose is accepted for
//! another.

use crate::{Fault, Suite};

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// What some bytes are for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Label { $($(#[$doc])* $name,)+ }

        impl Label {
            /// Every label.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The text that is encoded.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => concat!("strongroom/v1/", $text),)+ }
            }
        }
    };
}

labels! {
    /// Context of a segment.
    Segment = "segment";
    /// Context of a version's list.
    List = "list";
    /// Context of a version's map.
    Map = "map";
    /// Derivation of the list key.
    ListKey = "list-key";
    /// Derivation of the map key.
    MapKey = "map-key";
    /// Derivation of a fingerprint.
    Fingerprint = "fingerprint";
    /// Context of a wrap under a root.
    WrapRoot = "wrap/root";
    /// Context of a wrap under a root in a device or a service.
    WrapDevice = "wrap/device";
    /// Context of a wrap under a domain key.
    WrapDomain = "wrap/domain";
    /// Context of a wrap under an archive key.
    WrapArchive = "wrap/archive";
    /// HPKE `info` of a key sealed to a recovery key.
    WrapRecovery = "wrap/recovery";
    /// Derivation from a recovery code.
    RecoveryRoot = "root/recovery";
    /// Context of the private half of a recovery key.
    RecoveryPrivate = "recovery/private";
    /// Derivation from the seed of an escrow.
    EscrowRoot = "root/escrow";
    /// Commitment to a share of an escrow.
    EscrowShare = "escrow/share";
    /// First field of what the checksum of a share is over.
    EscrowChecksum = "escrow/checksum";
    /// Derivation of a root from a passphrase.
    PassphraseRoot = "root/passphrase";
    /// First field of a release request.
    Request = "request";
    /// First field of what a release signature covers.
    Envelope = "envelope";
    /// HPKE `info` of an envelope.
    EnvelopeInfo = "envelope/info";
    /// Salted commitment to a database row.
    Row = "row";
    /// Authentication of a database row.
    RowMac = "row-mac";
    /// Salted commitment to a personal or secret value.
    Commitment = "commitment";
    /// Context of a sealed database field.
    Field = "field";
    /// Derivation of the key of a vault's prints, and its context on its way.
    PrintKey = "print-key";
    /// Derivation of the key that seals a version's prints.
    PrintsKey = "prints-key";
    /// Context of a version's sealed prints.
    Prints = "prints";
    /// Derivation of the key of a backup.
    BackupKey = "backup-key";
    /// Context of a backup.
    Backup = "backup";
    /// Context of a sealed value.
    Value = "value";
    /// Context of a client's cache of file states.
    Cache = "cache";
    /// Context of a client's journal of an unfinished put.
    Draft = "draft";
}

/// A field is longer than LP can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a field of {0} bytes is longer than the maximum of 65535")]
pub struct FieldTooLong(pub usize);

impl FieldTooLong {
    /// Whose fault this is: the caller's.
    pub fn fault(self) -> Fault {
        Fault::Misuse
    }
}

/// LP: the label and every field, each behind its length as two bytes, big endian.
///
/// # Errors
/// [`FieldTooLong`] for a field of 65,536 bytes or more.
pub fn lp(label: Label, fields: &[&[u8]]) -> Result<Vec<u8>, FieldTooLong> {
    let mut out = Vec::with_capacity(64 + fields.iter().map(|field| field.len() + 2).sum::<usize>());
    for field in std::iter::once(&label.text().as_bytes()).chain(fields) {
        let len = u16::try_from(field.len()).map_err(|_| FieldTooLong(field.len()))?;
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(field);
    }
    Ok(out)
}

/// LP over fields whose length is known when this is compiled, so it cannot fail.
pub(crate) struct Context(Vec<u8>);

impl Context {
    pub(crate) fn new(label: Label, suite: Suite) -> Self {
        let text = label.text().as_bytes();
        let mut out = Vec::with_capacity(256);
        // Labels are shorter than 256 bytes: see the test.
        out.extend_from_slice(&[0, text.len() as u8]);
        out.extend_from_slice(text);
        Self(out).field(&suite.number().to_be_bytes())
    }

    pub(crate) fn field<const N: usize>(mut self, bytes: &[u8; N]) -> Self {
        const { assert!(N <= u16::MAX as usize) };
        self.0.extend_from_slice(&(N as u16).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// An absent field is an empty one; no present field is empty.
    pub(crate) fn optional<const N: usize>(self, bytes: Option<&[u8; N]>) -> Self {
        const { assert!(N > 0) };
        match bytes {
            Some(bytes) => self.field(bytes),
            None => self.field(&[]),
        }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn labels_are_distinct_and_short() {
        let texts: HashSet<&str> = Label::ALL.iter().map(|label| label.text()).collect();
        assert_eq!(texts.len(), Label::ALL.len());
        assert!(texts.iter().all(|text| text.len() < 256 && text.starts_with("strongroom/v1/")));
    }

    #[test]
    fn both_encoders_agree() {
        let suite = Suite::Default;
        let context = Context::new(Label::List, suite).field(&[7; 16]).optional::<1>(None).optional(Some(&[2]));
        let expected = lp(Label::List, &[&suite.number().to_be_bytes(), &[7; 16], &[], &[2]]);
        assert_eq!(Ok(context.into_bytes()), expected);
    }

    #[test]
    fn moving_a_byte_between_fields_changes_the_encoding() {
        assert_ne!(lp(Label::Row, &[b"ab", b"c"]), lp(Label::Row, &[b"a", b"bc"]));
    }

    #[test]
    fn a_field_of_64_kib_is_refused() {
        assert_eq!(lp(Label::Row, &[&[0; 65_536]]), Err(FieldTooLong(65_536)));
        assert!(lp(Label::Row, &[&[0; 65_535]]).is_ok());
    }
}
