//! The spill finder: plaintext of what is in the vault, lying about in caches, temporary folders, notebooks and working trees.
//!
//! Content is recognised by prints (`seal::prints`) that the client made when it sealed it; the search reads files and looks their
//! prints up. It follows no link, opens nothing but plain files, stays below the folders it is given, and says what it did not look
//! into.

mod archive;
mod known;
mod look;
mod places;
mod remove;
#[cfg(test)]
mod tests;
mod views;
mod walk;

pub use places::{Root, well_known};
pub use remove::Removal;

use crate::watch::Watch;
use crate::{Client, fault};
use api::terms::{Code, DecisionId};
use api::wire::{AuditFilter, Problem};
use known::Index;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use walk::Found;

/// What a search found.
#[derive(Debug, Default, serde::Serialize)]
pub struct SpillReport {
    /// Where it looked.
    pub roots: Vec<PathBuf>,
    /// How much it looked at.
    pub searched: Searched,
    /// What it looked for.
    pub known: KnownCount,
    /// Files that hold plaintext of the vault.
    pub items: Vec<Spill>,
    /// What it did not look into.
    pub not_searched: Vec<NotSearched>,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Searched {
    /// Folders.
    pub folders: u64,
    /// Files.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
}

/// What was looked for.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct KnownCount {
    /// Versions that have prints, public ones apart.
    pub versions: u64,
    /// Prints.
    pub prints: u64,
    /// Versions that the caller may not look for.
    pub refused: Vec<String>,
    /// Versions that have no prints, or whose prints do not open.
    pub without: Vec<String>,
}

/// A file that holds plaintext of the vault.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Spill {
    /// Where.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// What it holds.
    pub holds: Vec<Held>,
    /// What probably left it there.
    pub cause: &'static str,
    /// How not to leave it there next time.
    pub avoid: &'static str,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
    #[serde(skip)]
    found: Option<Box<Found>>,
}

/// Content of one artifact in a file.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Held {
    /// The newest version that it fits best.
    pub version: String,
    /// Files of the version, the best first; at most three.
    pub files: Vec<String>,
    /// It is a whole file, byte for byte.
    pub whole: bool,
    /// The recognised pieces.
    pub pieces: u64,
    /// Of so many of these files that could be.
    pub of: u64,
    /// The file holds other things too, as far as its pieces tell.
    pub among_others: bool,
    /// Exports of the artifact that the log tells of, the last first; at most three.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exported: Vec<Export>,
}

/// An export that was allowed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Export {
    /// By whom.
    pub by: String,
    /// When, as the log says it.
    pub time: String,
    /// The version, if it is one of those that were looked for.
    pub version: String,
    /// The decision.
    pub decision: Option<String>,
}

/// Something that was not looked into.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NotSearched {
    /// Why.
    pub what: &'static str,
    /// How often.
    pub count: u64,
    /// One of them.
    pub example: PathBuf,
}

/// How a removal was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// By a yes to this very file.
    ByItself,
    /// Together with everything else that was found.
    WithOthers,
}

/// A search, with what it looks for.
pub struct Search<'a> {
    client: &'a Client,
    index: Index,
}

impl std::fmt::Debug for Search<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Search(..)")
    }
}

impl<'a> Search<'a> {
    /// Asks the keeper what every version is recognised by that the caller may look for.
    ///
    /// # Errors
    /// The keeper's; `interrupted`.
    pub fn open(client: &'a Client, watch: &dyn Watch) -> Result<Self, Problem> {
        watch.stage("reading prints", None);
        Ok(Self { client, index: Index::load(client, watch)? })
    }

    /// Looks for plaintext of these versions.
    ///
    /// # Errors
    /// The keeper's; `interrupted`. What cannot be read is in the report.
    pub fn run(&self, roots: &[Root], watch: &dyn Watch) -> Result<SpillReport, Problem> {
        let (client, index) = (self.client, &self.index);
        let mut report = SpillReport {
            roots: roots.iter().map(|root| root.path.clone()).collect(),
            known: index.count.clone(),
            ..SpillReport::default()
        };
        if index.is_empty() {
            return Ok(report);
        }
        watch.stage("searching", None);
        let walked = walk::search(index, roots, &client.dir, watch)?;
        report.searched = walked.searched;
        report.not_searched = walked.not_searched.told();
        let exports = client.exports(index, !walked.found.is_empty())?;
        let mut names = Names { client, index, known: HashMap::new() };
        for found in walked.found {
            let mut holds = Vec::new();
            for held in &found.held {
                let known = index.version(held.version);
                let files = held.files.iter().take(3).map(|file| names.of(held.version, *file)).collect();
                let exported = known.map(|known| exports.get(&known.item.artifact).cloned().unwrap_or_default());
                holds.push(Held {
                    version: known.map(|known| known.item.reference.clone()).unwrap_or_default(),
                    files,
                    whole: held.whole,
                    pieces: held.pieces,
                    of: held.of,
                    among_others: held.among_others,
                    exported: exported.unwrap_or_default(),
                });
            }
            let path = found.shown();
            let (cause, avoid) = places::cause(&path);
            let bytes = found.identity.size;
            report.items.push(Spill { path, bytes, holds, cause, avoid, removal: None, found: Some(Box::new(found)) });
        }
        report.items.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(report)
    }

    /// Removes a file that was found, if it is still what was found, and says what became of it. What holds other things too is
    /// removed on its own word only, or if it was named.
    pub fn remove(&self, spill: &mut Spill, confirmed: Confirmed) {
        let Some(found) = &spill.found else { return };
        let mixed = found.held.iter().any(|held| held.among_others) && !found.named;
        spill.removal = Some(match confirmed {
            Confirmed::WithOthers if mixed => Removal::HoldsOthers,
            _ => remove::remove(&self.index, found),
        });
    }
}

impl Client {
    /// The last exports of each artifact, if the caller may read the log.
    fn exports(&self, index: &Index, wanted: bool) -> Result<BTreeMap<api::terms::ArtifactId, Vec<Export>>, Problem> {
        let mut exports: BTreeMap<_, Vec<Export>> = BTreeMap::new();
        if !wanted {
            return Ok(exports);
        }
        let filter = AuditFilter {
            act: Some("release.export".to_owned()),
            newest_first: true,
            limit: MAX_EXPORTS,
            ..AuditFilter::default()
        };
        let page = match self.audit(filter) {
            Ok(page) => page,
            Err(problem) if matches!(problem.code, Code::Denied | Code::NotFound | Code::Gone) => return Ok(exports),
            Err(problem) => return Err(problem),
        };
        for item in &page.items {
            let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
            let subject = item.entry.get("subject");
            let named = |name: &str| subject.and_then(|subject| subject.get(name)).and_then(text);
            if item.entry.get("kind").and_then(|kind| kind.as_str()) != Some("release") {
                continue;
            }
            let Some(artifact) = named("artifact").and_then(|id| id.parse().ok()) else { continue };
            let known = named("version").and_then(|id| index.by_id(&id));
            let list = exports.entry(artifact).or_default();
            if list.len() < 3 {
                let decision = item.entry.get("decision").and_then(|decision| decision.get("id")).and_then(text);
                list.push(Export {
                    by: item.principal.clone().unwrap_or_default(),
                    time: item.entry.get("time").and_then(text).unwrap_or_default(),
                    version: known.map(|known| known.item.reference.clone()).unwrap_or_default(),
                    decision: decision.filter(|id| id.parse::<DecisionId>().is_ok()),
                });
            }
        }
        Ok(exports)
    }
}

/// Names that say how a file is looked at; the first byte of a seed chooses one.
#[cfg(any(test, feature = "fuzz"))]
pub const FUZZED: [&[u8]; 4] = [b"a.txt", b"a.ipynb", b"a.jsonl", b".git/objects/ab/cd"];

/// Looks at content as a search does that looks for nothing, for the crate `fuzz/`: whatever a file holds, it ends.
#[cfg(any(test, feature = "fuzz"))]
pub fn looked_into(path: &[u8], bytes: &[u8]) {
    let key = seal::secret::PrintKey::from_bytes(Box::new([7; 32]));
    let index = Index::of(key, Vec::new());
    let mut tally = look::Tally::new(&index, bytes.len() as u64);
    tally.parts(bytes, seal::prints::Edges::WHOLE);
    let _ = archive::not_opened(path, bytes);
    views::inside(&mut tally, path, bytes);
}

/// The most exports that are looked through.
const MAX_EXPORTS: u32 = 1_000;

/// Names of files, read from each version's list once.
struct Names<'a> {
    client: &'a Client,
    index: &'a Index,
    known: HashMap<(u32, u32), String>,
}

impl Names<'_> {
    /// The path of a file in a version, or its number if the list cannot be read.
    fn of(&mut self, version: u32, file: u32) -> String {
        if let Some(name) = self.known.get(&(version, file)) {
            return name.clone();
        }
        let name = self.read(version, file).unwrap_or_else(|_| format!("file {file}"));
        self.known.insert((version, file), name.clone());
        name
    }

    fn read(&self, version: u32, file: u32) -> Result<String, Problem> {
        let lost = || fault::internal("cannot name a file", "the version is not known");
        let known = self.index.version(version).ok_or_else(lost)?;
        let key = depot::Key::new(*self.client.vault().as_bytes(), *known.item.object.as_bytes());
        let told = |e: depot::sealed::Error| fault::sealed("cannot name a file", &e);
        let record = depot::sealed::VersionObject::open(self.client.store(), &key).map_err(told)?;
        let record = record.record(&known.digest).map_err(told)?;
        let mut list = crate::opened::open_list(self.client.store(), &record, &known.list)?;
        let told = |e| fault::manifest("cannot name a file", &record, &e);
        while let Some((at, entry)) = list.next_entry().map_err(told)? {
            if at == u64::from(file) {
                return Ok(String::from_utf8_lossy(entry.path()).into_owned());
            }
        }
        Err(lost())
    }
}
