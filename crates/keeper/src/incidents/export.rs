//! The evidence as a file: read from the log again up to the head of then, held to the digest that was written down, and only then given
//! its name. What comes behind the line `end` is of now and is not under that digest: names, and packs.

use super::radius::{Radius, Subject};
use super::{evidence, named, packs, wanted};
use crate::acts::act;
use crate::audit;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::rows::Incident;
use crate::session::Session;
use api::terms::{Action, Code, IncidentId, PrincipalId};
use api::wire::EvidenceWritten;
use log::proof::Head;
use log::tree::Hash;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Versions whose packs are read at a time.
const PAGE: usize = 64;
const WHAT: &str = "the evidence cannot be written";

/// Writes the evidence of an incident to a new file that only its owner reads; that somebody took it is in the log first.
pub(crate) fn export(engine: &Engine, session: &Session, id: IncidentId, file: &str) -> Result<EvidenceWritten> {
    let incident = named(engine, id)?;
    let wanted = wanted(engine, &incident, Action::Audit, "incident.export")?;
    super::unseen(&incident, crate::acts::look(engine, session, &wanted))?;
    let told = incident.found.as_ref().ok_or_else(|| {
        let why = "the log was not read yet".to_owned();
        Error::Conflict { what: "the evidence", why, hint: Some("strongroom jobs run incidents".to_owned()) }
    })?;
    let path = Path::new(file);
    if !path.is_absolute() {
        return Err(Error::bad("the evidence", "the keeper takes a whole path"));
    }
    if path.symlink_metadata().is_ok() {
        return Err(Error::FileExists(path.to_owned()));
    }
    let logged = act(engine, session, &wanted, &[], |tx, act| {
        let event = act.event("incident.export").on("incident", incident.id).on("evidence", &told.evidence);
        let event = event.on("key", incident.key).on("workspace", incident.workspace);
        let logged = engine.log(tx, act.ticket, &act.by, &[event])?;
        logged.first().copied().ok_or(Error::Internal("an entry was lost"))
    })?;
    engine.settled(&logged)?;
    let root = Hash::from_hex(&told.log_root).ok_or(Error::Internal("a root that is none"))?;
    let subject = Subject { key: incident.key, about: incident.about, workspace: incident.workspace };
    let radius = Radius::read(engine, &subject, Some(Head { size: told.log_size, root }))?;
    let mut out = Out::create(path)?;
    let (digest, lines) = evidence::write(engine, &subject, &radius, &mut |line| out.line(line))?;
    if hex::encode(digest) != told.evidence {
        let why = format!("it does not give the evidence of incident {id} again");
        return Err(Error::Log { code: Code::Integrity, why });
    }
    let more = beside(engine, &incident, &radius, &told.evidence, &mut out)?;
    out.finish(path)?;
    Ok(EvidenceWritten { file: file.to_owned(), lines: lines + more, evidence: told.evidence.clone() })
}

/// What helps to read it, as it is now.
fn beside(engine: &Engine, incident: &Incident, radius: &Radius, digest: &str, out: &mut Out) -> Result<u64> {
    let mut count = 1;
    out.value(&json!({"incident": incident.id, "line": "end", "sha256": digest}))?;
    for id in radius.people.keys() {
        let id = PrincipalId::from_bytes(*id);
        let name = engine.store.read(|tx| audit::name_of(engine, tx, &id))?;
        if let Some(name) = name {
            out.value(&json!({"line": "name", "name": name, "principal": id}))?;
            count += 1;
        }
    }
    for page in packs::wanted(&radius.keys).chunks(PAGE) {
        let lines = engine.store.read(|tx| {
            let mut lines = Vec::new();
            packs::read(tx, page, &mut |version, record| {
                let packs: Vec<Value> = record.packs.iter().map(pack).collect();
                lines.push(json!({"line": "packs", "packs": packs, "version": hex::encode(version)}));
            })?;
            Ok::<_, Error>(lines)
        })?;
        count += lines.len() as u64;
        lines.iter().try_for_each(|line| out.value(line))?;
    }
    Ok(count)
}

fn pack(pack: &seal::record::Pack) -> Value {
    let objects: Vec<String> = pack.segments.iter().map(|segment| hex::encode(segment.object)).collect();
    json!({"id": hex::encode(pack.id), "objects": objects, "owner": hex::encode(pack.owner)})
}

/// A file under a name of its own until it is whole; else it goes.
struct Out {
    file: Option<BufWriter<File>>,
    path: PathBuf,
}

impl Out {
    fn create(named: &Path) -> Result<Self> {
        let token: [u8; 8] = crate::system::random()?;
        let mut name = named.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", hex::encode(token)));
        let path = named.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| Error::io(WHAT, &path, &error))?;
        Ok(Self { file: Some(BufWriter::with_capacity(1 << 16, file)), path })
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let file = self.file.as_mut().ok_or(Error::Internal("a file that was closed"))?;
        file.write_all(line).map_err(|error| Error::io(WHAT, &self.path, &error))
    }

    fn value(&mut self, value: &Value) -> Result<()> {
        self.line(format!("{value}\n").as_bytes())
    }

    fn finish(mut self, named: &Path) -> Result<()> {
        let io = |error: std::io::Error| Error::io(WHAT, named, &error);
        let file = self.file.take().ok_or(Error::Internal("a file that was closed"))?;
        file.into_inner().map_err(|error| io(error.into_error()))?.sync_all().map_err(io)?;
        // A link does not take the place of what somebody else put there meanwhile.
        std::fs::hard_link(&self.path, named).map_err(io)
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
