//! `share`: a version, or a part of one, as a standard age file for people outside. An export that cannot be recalled.
//!
//! A single file is sealed as it is; a folder as a tar archive. The age format and its recipients are the `age` crate's
//! (C2SP `age.md`); nothing of it is ours.

use crate::cat::Reading;
use crate::dest::{Existing, Place};
use crate::get::{Packed, Wanted, below};
use crate::opened::Map;
use crate::seat::{Grant, Why};
use crate::watch::{Watch, check};
use crate::{Client, fault};
use age::Recipient;
use api::terms::{Code, Reference, ReleaseId};
use api::wire::Problem;
use seal::list::{Entry, Node};
use seal::map::MapEntry;
use std::fs::File;
use std::io::{BufWriter, Read as _};
use std::path::{Path, PathBuf};

/// What to share, with whom, and why.
#[derive(Debug, Clone)]
pub struct Share {
    /// The version, or a file or folder in it.
    pub reference: Reference,
    /// `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`.
    pub recipients: Vec<String>,
    /// Why, which the log keeps, and the artifact again for restricted data in a solo vault.
    pub why: Why,
    /// The age file; else one named after what it holds, here.
    pub dest: Option<PathBuf>,
    /// What to do with something that is there.
    pub existing: Existing,
}

/// What was shared.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ShareReport {
    /// `workspace/artifact@vN`.
    pub version: String,
    /// The age file.
    pub dest: String,
    /// `file` or `tar`.
    pub form: &'static str,
    /// Plaintext bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// How many can open it.
    pub recipients: u64,
    /// The release in the log.
    pub release: ReleaseId,
}

/// Bytes written at a time.
const BUFFER_LEN: usize = 1 << 20;

impl Client {
    /// Exports a version for others, under a decision and in the log with its recipients and purpose.
    ///
    /// # Errors
    /// `bad-request` for what is no recipient; `denied` with reasons; `conflict` if the destination exists; `integrity` with the place.
    /// Then nothing is left at the destination.
    pub fn share(&self, share: &Share, watch: &dyn Watch) -> Result<ShareReport, Problem> {
        // Before anybody is bothered with a decision.
        let recipients = share.recipients.iter().map(|text| parsed(text)).collect::<Result<Vec<_>, _>>()?;
        let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|one| one.as_ref() as &dyn Recipient));
        let encryptor = encryptor.map_err(|e| refused(e.to_string()))?;
        let item = self.seat().show(&share.reference.without_path().to_string())?;
        let grant = self.seat().release_to_share(&item, &share.why, &share.recipients)?;
        let packed = Packed::open(self.store(), &grant, share.reference.path.as_deref())?;
        let single = packed.file_name().map(<[u8]>::to_vec);
        let form = if single.is_some() { "file" } else { "tar" };
        watch.stage("sharing", Some(packed.len()));

        let name = name_of(&share.reference, item.number, single.as_deref());
        let dest = share.dest.clone().unwrap_or_else(|| PathBuf::from("."));
        let mut place = Place::for_file(&dest, &name, share.existing)?;
        let (staged, _) = place.stage_file()?;
        let written = |e: std::io::Error| fault::io("cannot write", &dest, &e);
        let sealed = encryptor.wrap_output(BufWriter::with_capacity(BUFFER_LEN, staged)).map_err(written)?;
        let (bytes, files, sealed) = match single {
            Some(_) => one(packed, sealed, &dest, watch)?,
            None => tar(packed, sealed, &dest, watch)?,
        };
        let file = sealed.finish().map_err(written)?.into_inner().map_err(|e| written(e.into_error()))?;
        file.sync_all().map_err(written)?;
        check(watch, "share")?;
        Ok(ShareReport {
            version: grant.version.reference.clone(),
            dest: place.show()?.display().to_string(),
            form,
            bytes,
            files,
            recipients: share.recipients.len() as u64,
            release: grant.release,
        })
    }
}

type Sealed = age::stream::StreamWriter<BufWriter<File>>;

/// The bytes of the one file.
fn one(packed: Packed<'_>, mut out: Sealed, dest: &Path, watch: &dyn Watch) -> Result<(u64, u64, Sealed), Problem> {
    let Packed { opened, grant, mut map, wanted, .. } = packed;
    let Wanted::File(ordinal, entry) = wanted else { return Err(torn(grant)) };
    let place = placed(&mut map, ordinal, &entry, grant)?;
    let done = Reading::new(&opened).range(&map, &place, 0..entry.size(), &mut out, watch)?;
    done.map_err(|e| fault::io("cannot write", dest, &e))?;
    Ok((entry.size(), 1, out))
}

/// Everything below a folder as an archive, in the order of the list.
fn tar(packed: Packed<'_>, out: Sealed, dest: &Path, watch: &dyn Watch) -> Result<(u64, u64, Sealed), Problem> {
    let failed = |e: std::io::Error| fault::io("cannot write", dest, &e);
    let Packed { opened, grant, mut list, mut map, wanted } = packed;
    let Wanted::Folder(prefix) = wanted else { return Err(torn(grant)) };
    let read = |e| fault::manifest("cannot read the list", &grant.record, &e);
    let mtime = grant.version.created.as_millis() / 1000;
    let mut archive = tar::Builder::new(out);
    let mut reading = Reading::new(&opened);
    let (mut bytes, mut files) = (0, 0);
    list.seek_path(&prefix).map_err(read)?;
    while let Some((ordinal, entry)) = list.next_entry().map_err(read)? {
        let Some(path) = below(entry.path(), &prefix) else {
            // `a.b` sorts between `a` and `a/b`: the end comes with the first name beyond `a/`.
            if entry.path() > [prefix.as_slice(), b"0"].concat().as_slice() {
                break;
            }
            continue;
        };
        let mut header = tar::Header::new_gnu();
        header.set_mode(u32::from(entry.mode()) & 0o777);
        header.set_mtime(mtime);
        let path = crate::source::as_path(path);
        match entry.node() {
            Node::Folder if path.as_os_str().is_empty() => {}
            Node::Folder => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                archive.append_data(&mut header, path, std::io::empty()).map_err(failed)?;
            }
            Node::Symlink { target } => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                archive.append_link(&mut header, path, crate::source::as_path(target)).map_err(failed)?;
            }
            Node::File { size } => {
                let place = placed(&mut map, ordinal, &entry, grant)?;
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(*size);
                // The header first; the bytes are pushed behind it, not pulled.
                archive.append_data(&mut header, path, std::io::empty()).map_err(failed)?;
                let out = archive.get_mut();
                reading.range(&map, &place, 0..*size, out, watch)?.map_err(failed)?;
                let padding = (512 - size % 512) % 512;
                std::io::copy(&mut std::io::repeat(0).take(padding), out).map_err(failed)?;
                bytes += size;
                files += 1;
            }
        }
    }
    Ok((bytes, files, archive.into_inner().map_err(failed)?))
}

/// Where a file lies, as the map tells it.
fn placed(map: &mut Map, ordinal: u64, entry: &Entry, grant: &Grant) -> Result<MapEntry, Problem> {
    let place = map.find(ordinal).map_err(|e| fault::manifest("cannot read the map", &grant.record, &e))?;
    place.filter(|place| place.size() == Some(entry.size())).ok_or_else(|| torn(grant))
}

fn torn(grant: &Grant) -> Problem {
    Problem::new(Code::Integrity, format!("cannot share {}", grant.version.reference), "list and map do not agree")
}

/// Seals a short text for one recipient, as a standard age file.
///
/// # Errors
/// `bad-request` for what is no recipient.
pub fn sealed_text(text: &str, recipient: &str) -> Result<Vec<u8>, Problem> {
    let recipient = parsed(recipient)?;
    let encryptor = age::Encryptor::with_recipients(std::iter::once(recipient.as_ref() as &dyn Recipient));
    let encryptor = encryptor.map_err(|why| refused(why.to_string()))?;
    let mut out = Vec::new();
    let written = (|| {
        let mut writer = encryptor.wrap_output(&mut out)?;
        std::io::Write::write_all(&mut writer, text.as_bytes())?;
        writer.finish().map(drop)
    })();
    written.map_err(|why: std::io::Error| refused(why.to_string()))?;
    Ok(out)
}

/// A recipient of the two kinds that age has.
fn parsed(text: &str) -> Result<Box<dyn Recipient>, Problem> {
    let text = text.trim();
    if text.starts_with("age1") {
        let recipient = text.parse::<age::x25519::Recipient>().map_err(|why| no_recipient(text, why))?;
        return Ok(Box::new(recipient));
    }
    match text.parse::<age::ssh::Recipient>() {
        Ok(recipient) => Ok(Box::new(recipient)),
        Err(age::ssh::ParseRecipientKeyError::Unsupported(kind)) => {
            Err(no_recipient(text, &format!("keys of the kind {kind} cannot receive")))
        }
        Err(_) if text.starts_with("AGE-SECRET-KEY-") => {
            Err(no_recipient("AGE-SECRET-KEY-...", "it is a secret key; `age-keygen -y` tells the public one"))
        }
        Err(_) => Err(no_recipient(text, "it is neither `age1...` nor the line of an ssh-ed25519 or ssh-rsa key")),
    }
}

fn no_recipient(text: &str, why: &str) -> Problem {
    let shown: String = text.chars().take(40).collect();
    Problem::new(Code::BadRequest, "cannot share", format!("`{shown}` is no recipient: {why}"))
}

fn refused(why: String) -> Problem {
    Problem::new(Code::BadRequest, "cannot share", why)
}

/// `artifact-v3.age`, `artifact-v3-table.csv.age`, `artifact-v3.tar.age`.
fn name_of(reference: &Reference, number: u64, file: Option<&[u8]>) -> Vec<u8> {
    let stem = format!("{}-v{number}", reference.artifact).into_bytes();
    match file {
        Some(file) if reference.path.is_some() => [&stem, b"-".as_slice(), file, b".age"].concat(),
        Some(_) => [&stem, b".age".as_slice()].concat(),
        None => [&stem, b".tar.age".as_slice()].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_receives_is_told_from_what_does_not() {
        let ed25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN alice@rust";
        let good = ["age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa", ed25519];
        for text in good {
            assert!(parsed(text).is_ok(), "{text}");
        }
        let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBA==";
        for text in ["", "bob", "age1", "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pb", ecdsa] {
            assert_eq!(parsed(text).err().unwrap().code, Code::BadRequest, "{text}");
        }
        // A secret key that was given by mistake is not repeated.
        let secret = parsed("AGE-SECRET-KEY-1QQPZRY9X8").err().unwrap().why;
        assert!(secret.contains("secret key") && !secret.contains("QQPZ"), "{secret}");
    }
}
