//! The evidence as lines of JSON in one form, so that its digest is the same whenever the log is read again up to the same head.
//!
//! Members are in the order of JCS; what is in them are ids, digests, numbers, times and the names of acts.

use super::radius::{Handed, How, Person, Radius, Subject, Touched};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::hash;
use api::terms::{ArtifactId, EntryId, KeyId, PrincipalId, Timestamp, VaultId, VersionId};
use aws_lc_rs::digest;
use serde::Serialize;

/// Takes lines, one by one.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

#[derive(Serialize)]
struct Head {
    key: KeyId,
    line: &'static str,
    log_root: String,
    log_size: u64,
    of: &'static str,
    v: u8,
    vault: VaultId,
}

#[derive(Serialize)]
struct Version {
    artifact: ArtifactId,
    begun: u64,
    by: PrincipalId,
    committed: Option<u64>,
    destroyed: Option<u64>,
    digest: Option<String>,
    key: KeyId,
    line: &'static str,
    under: KeyId,
    version: VersionId,
}

#[derive(Serialize)]
struct Release<'a> {
    act: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact: Option<ArtifactId>,
    entry: EntryId,
    index: u64,
    line: &'static str,
    principal: PrincipalId,
    shared: u32,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<VersionId>,
}

/// Somebody, as evidence tells of them, and as the list of an incident keeps them.
#[derive(Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Principal {
    pub(super) exports: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) line: String,
    pub(super) principal: PrincipalId,
    pub(super) reads: u64,
    pub(super) shares: u64,
    pub(super) writes: u64,
}

impl Principal {
    pub(super) fn of(id: [u8; 16], person: &Person) -> Self {
        let Person { reads, exports, shares, writes, first, last } = *person;
        let principal = PrincipalId::from_bytes(id);
        Self { exports, first, last, line: "principal".to_owned(), principal, reads, shares, writes }
    }
}

/// Writes every line with its end; answers the SHA-256 of all and how many there were.
pub(super) fn write(engine: &Engine, subject: &Subject, radius: &Radius, sink: Sink<'_>) -> Result<([u8; 32], u64)> {
    let mut out =
        Lines { sink, digest: digest::Context::new(&digest::SHA256), buffer: Vec::with_capacity(512), count: 0 };
    out.line(&Head {
        key: subject.key,
        line: "key",
        log_root: radius.head.root.to_string(),
        log_size: radius.head.size,
        of: match subject.about {
            crate::rows::IncidentAbout::Domain(_) => "domain",
            crate::rows::IncidentAbout::Version(_) => "version",
        },
        v: 1,
        vault: engine.vault,
    })?;
    for touched in &radius.keys {
        out.line(&version(touched))?;
    }
    for handed in &radius.handed {
        out.line(&release(radius, handed))?;
    }
    for (id, person) in &radius.people {
        out.line(&Principal::of(*id, person))?;
    }
    let digest = out.digest.finish().as_ref().first_chunk::<32>().copied();
    Ok((digest.ok_or(Error::Internal("a digest of another length"))?, out.count))
}

struct Lines<'a> {
    sink: Sink<'a>,
    digest: digest::Context,
    buffer: Vec<u8>,
    count: u64,
}

impl Lines<'_> {
    fn line(&mut self, line: &impl Serialize) -> Result<()> {
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, line).map_err(|_| Error::Internal("a line is not JSON"))?;
        self.buffer.push(b'\n');
        self.digest.update(&self.buffer);
        self.count += 1;
        (self.sink)(&self.buffer)
    }
}

fn version(touched: &Touched) -> Version {
    Version {
        artifact: ArtifactId::from_bytes(touched.artifact),
        begun: touched.begun,
        by: PrincipalId::from_bytes(touched.by),
        committed: touched.committed.map(|(index, _)| index),
        destroyed: touched.destroyed,
        digest: touched.committed.map(|(_, digest)| hash::to_hex(&digest)),
        key: KeyId::from_bytes(touched.key),
        line: "version",
        under: KeyId::from_bytes(touched.under),
        version: VersionId::from_bytes(touched.version),
    }
}

fn release<'a>(radius: &'a Radius, handed: &Handed) -> Release<'a> {
    Release {
        act: radius.act(handed),
        artifact: (!handed.is_version).then(|| ArtifactId::from_bytes(handed.about)),
        entry: EntryId::from_bytes(handed.entry),
        index: handed.index,
        line: if handed.how == How::Write { "write" } else { "release" },
        principal: PrincipalId::from_bytes(handed.by),
        shared: handed.shared,
        time: handed.at.to_string(),
        version: handed.is_version.then(|| VersionId::from_bytes(handed.about)),
    }
}
