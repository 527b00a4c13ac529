//! `put`: seals a source as a new version.
//!
//! Two threads read, digest, seal and upload blocks of about 1 MiB; this one puts the results in order and writes list and map. Memory
//! does not grow with the source. The version exists when the keeper commits it; before that nothing of it can be seen.

mod anew;
mod cache;
mod collect;
mod draft;
mod entries;
mod feed;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod known;
mod prints;
mod run;
mod target;
mod work;

use crate::Client;
use crate::seat::{Grant, Keys, sealed, unexpected};
use crate::source::Filter;
use crate::watch::{Watch, check};
pub use anew::ReencryptReport;
use api::terms::{Action, Class, Code, Environment, Kind, Name, Suite, VersionId};
use api::wire::{Answer, Begin, Begun, Command, MadeBy, Problem, VersionItem};
use draft::{Journal, Resume};
use entries::Opened;
use run::Putting;
use seal::prints::Printer;
use seal::secret::{ListKey, MapKey};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use target::{random, random_object};

/// What to put, and as what.
#[derive(Debug, Clone)]
pub struct Put {
    /// A file, a folder, or `-`.
    pub source: PathBuf,
    /// The workspace.
    pub workspace: Name,
    /// The artifact.
    pub artifact: Name,
    /// The class asked for.
    pub class: Option<Class>,
    /// Whatever the class would be, it is not below this one.
    pub at_least: Option<Class>,
    /// The environment.
    pub environment: Environment,
    /// What it is.
    pub kind: Option<Kind>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// An alias to move.
    pub alias: Option<Name>,
    /// What it was made from.
    pub from: Vec<String>,
    /// The run whose output it is, and how that made it.
    pub made: Option<MadeBy>,
    /// Which entries.
    pub filter: Filter,
    /// Seals and uploads everything, also what an earlier version holds unchanged.
    pub afresh: bool,
    /// Leaves it to the job to copy the version to the depots besides the primary.
    pub no_copy: bool,
}

/// A version that was put.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PutReport {
    /// `workspace/artifact@vN`.
    pub version: String,
    /// Its identity.
    pub id: VersionId,
    /// SHA-256 of the version record, hexadecimal.
    pub digest: String,
    /// Plaintext bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// Segment bytes uploaded: 0 if nothing changed.
    pub uploaded_bytes: u64,
    /// Plaintext bytes that an earlier version's packs hold.
    pub reused_bytes: u64,
    /// The classification.
    pub class: Class,
    /// Why this one.
    pub class_why: String,
    /// The environment.
    pub environment: Environment,
    /// The entry in the log.
    pub entry: api::terms::EntryId,
    /// Its index, once integrated.
    pub log_index: Option<u64>,
}

impl Client {
    /// Seals a source as a new version.
    ///
    /// # Errors
    /// `denied`; `source-changed`; `not-found`; `disk-full`, `unavailable`, `interrupted`: then nothing of the version shows.
    pub fn put(&self, put: &Put, watch: &dyn Watch) -> Result<PutReport, Problem> {
        let name = put.artifact.as_str().as_bytes();
        let opened = Opened::open(&put.source, name, put.filter.clone(), &self.dir)?;
        let began_nanos = crate::system::now().as_millis().saturating_mul(1_000_000);
        let previous = self.previous(put)?;
        let (draft, resume, journal) = self.begin(put, previous.as_ref(), watch)?;
        watch.note(&format!("class {} ({})", draft.begun.class, draft.begun.class_why));
        if let Some(resume) = &resume {
            watch.note(&format!("going on after {} finished segments", resume.segments.len()));
        }
        let (version, journal) = (draft.version, RefCell::new(journal));
        let put = Putting { client: self, put, draft, previous, journal: &journal, began_nanos, watch };
        let no_copy = put.put.no_copy;
        let done = put.run(opened, resume);
        let mut journal = journal.borrow_mut();
        match (&done, journal.as_mut()) {
            // The next put of this source goes on from here.
            (Err(_), Some(journal)) if journal.is_useful() => {}
            (result, journal) => {
                if result.is_err() {
                    let _ = self.seat().call(Command::Abandon { version });
                }
                if let Some(journal) = journal {
                    journal.remove();
                }
            }
        }
        // With nothing of the put in memory any more: it may take long.
        let (report, item) = done?;
        if !no_copy {
            self.copy_new(&item, watch);
        }
        Ok(report)
    }

    /// The latest version, if there is one that the caller may see.
    fn previous(&self, put: &Put) -> Result<Option<VersionItem>, Problem> {
        match self.seat().show(&format!("{}/{}", put.workspace, put.artifact)) {
            Ok(item) => Ok(Some(item)),
            Err(problem) if matches!(problem.code, Code::NotFound | Code::Denied | Code::ApprovalNeeded) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Opens a version for writing: the one that an earlier put of this source left unfinished, or a new one.
    fn begin(
        &self,
        put: &Put,
        previous: Option<&VersionItem>,
        watch: &dyn Watch,
    ) -> Result<(Draft, Option<Resume>, Option<Journal>), Problem> {
        let target = format!("{}/{}", put.workspace, put.artifact);
        let is_stdin = put.source.as_os_str() == "-";
        // What is not there a second time cannot be taken up again.
        let mut journal = if is_stdin || put.made.is_some() {
            None
        } else {
            Journal::of(&self.dir.join("drafts"), &target, &put.source)
        };
        if let Some((journal, version)) = journal.as_mut().and_then(|journal| journal.version().map(|id| (journal, id)))
        {
            let opened = self.open_draft(put, previous, version);
            // Only a conflict says that it cannot be taken up again: whatever else is in the way, what was uploaded stays for later.
            if let Err(problem) = opened.as_ref()
                && problem.code != Code::Conflict
            {
                return Err(problem.clone());
            }
            if let Ok(draft) = opened {
                let resume = journal.resume(draft.suite, &draft.map, self.vault().as_bytes(), &version);
                if let Some(resume) = resume {
                    if self.holds(&resume, watch)? {
                        return Ok((draft, Some(resume), Some(journal.clone())));
                    }
                    watch.note("what the unfinished put left in the depot is damaged or gone: starting over");
                }
                let _ = self.seat().call(Command::Abandon { version });
            }
            journal.remove();
        }
        let draft = self.open_draft(put, previous, VersionId::from_bytes(random()?))?;
        Ok((draft, None, journal))
    }

    /// Whether the depot still holds the segments of an unfinished put, every byte of them: nobody has read them since they were
    /// written, and the new version will name them.
    fn holds(&self, resume: &Resume, watch: &dyn Watch) -> Result<bool, Problem> {
        let vault = *self.vault().as_bytes();
        watch.stage("checking", Some(resume.segments.iter().map(|segment| segment.stored_len).sum()));
        for segment in &resume.segments {
            let whole = crate::verify::whole(self.store(), resume.suite, vault, segment, watch);
            check(watch, "put")?;
            if !whole {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn printer(&self, sealed: &[u8], list: &ListKey, version: VersionId) -> Result<Option<Printer>, Problem> {
        if sealed.is_empty() {
            return Ok(None);
        }
        let key = seal::prints::open_key(sealed, list, self.vault().as_bytes(), version.as_bytes());
        let key = key.map_err(|e| Problem::new(Code::BadSignature, "cannot put", e.to_string()))?;
        Ok(Some(Printer::new(key)))
    }

    /// Which suite the class writes, the keeper says to whoever asks under another one: then it is asked under that, once.
    fn open_draft(&self, put: &Put, previous: Option<&VersionItem>, version: VersionId) -> Result<Draft, Problem> {
        let guess = previous.map_or(self.seat().connection().info().suite, |item| item.suite);
        match self.open_draft_as(guess, put, previous, version) {
            Err(Problem { suite: Some(suite), .. }) if suite != guess => {
                self.open_draft_as(suite, put, previous, version)
            }
            other => other,
        }
    }

    fn open_draft_as(
        &self,
        suite: Suite,
        put: &Put,
        previous: Option<&VersionItem>,
        version: VersionId,
    ) -> Result<Draft, Problem> {
        let (segment, object) = (random_object()?, random_object()?);
        let mut begin = Begin {
            workspace: put.workspace.clone(),
            artifact: put.artifact.clone(),
            class: put.class,
            at_least: put.at_least,
            environment: put.environment,
            kind: put.kind,
            alias: put.alias.clone(),
            from: put.from.clone(),
            run: put.made.as_ref().map(|made| made.run),
            objects: vec![segment, object],
            request: Vec::new(),
        };
        // Asking for the previous version's keys as well lets unchanged files keep their place; the keeper decides on it apart.
        let compared = previous.filter(|item| item.suite == suite && comparable(item, put));
        let versions: Vec<VersionId> = [version].into_iter().chain(compared.map(|item| item.id)).collect();
        let (request, one_time) = self.seat().sign(suite, Action::Write, &versions, &Command::Begin(begin.clone()))?;
        begin.request = request.encode();
        let answer = self.seat().call(Command::Begin(begin))?;
        let Answer::Begun(begun) = answer else { return Err(unexpected(&answer)) };
        let mut envelope = self.seat().open(&begun.envelope, &request, one_time)?;
        let (Keys { list, map }, _) = envelope.split(version)?;
        let map = map.ok_or_else(|| Problem::new(Code::BadSignature, "cannot put", "the envelope holds no map key"))?;
        let mut begun = *begun;
        let released = begun
            .previous
            .take()
            .filter(|released| (released.version.class, released.version.suite) == (begun.class, suite));
        let known = released.map(|released| self.seat().grant(released, envelope)).transpose()?;
        let printer = self.printer(&begun.print_key, &list, version)?;
        Ok(Draft { version, suite: sealed(suite), begun, list, map, segment, object, known, printer })
    }
}

/// A version that is open for writing.
struct Draft {
    version: VersionId,
    suite: seal::Suite,
    begun: Begun,
    list: ListKey,
    map: MapKey,
    segment: api::terms::ObjectId,
    object: api::terms::ObjectId,
    /// Makes what the version is recognised by, if the keeper gave its key.
    printer: Option<Printer>,
    /// The previous version, if unchanged files may keep their place in its packs.
    known: Option<Grant>,
}

/// Whether a new version may share packs with this one: the same place and class, never restricted, a source that has paths, and
/// nobody said that they are not to be trusted.
fn comparable(item: &VersionItem, put: &Put) -> bool {
    let class =
        put.class.is_none_or(|class| class == item.class) && put.at_least.is_none_or(|least| least <= item.class);
    let same = item.environment == put.environment && class;
    same && item.class != Class::Restricted && put.source.as_os_str() != "-" && !put.afresh
}
