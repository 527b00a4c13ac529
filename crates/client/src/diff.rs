//! `diff`: two versions side by side. Their lists, and where both may be read their maps, are sorted by path: they are read along and
//! never held whole.

mod side;

use crate::Client;
use crate::ls::{decoded, encoded};
use crate::opened::Opened;
use crate::seat::{Grant, Why};
use crate::watch::{Watch, check};
use api::terms::{Action, Code, Reference, ReleaseId};
use api::wire::{Explain, Problem, VersionItem};
use side::{Named, Side};
use std::cmp::Ordering;

/// Whether contents are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// By their digests, if both versions may be read.
    IfAllowed,
    /// Names, types, sizes and modes only; no version is opened for reading.
    Never,
}

/// What to compare.
#[derive(Debug, Clone)]
pub struct Diff {
    /// The version before; a path in it is a file or folder to compare.
    pub old: Reference,
    /// The version after.
    pub new: Reference,
    /// How closely.
    pub contents: Contents,
    /// Continue behind this path: `next` of the page before.
    pub after: Option<String>,
    /// At most this many differences in the answer; all are counted.
    pub limit: usize,
    /// Why, for restricted data.
    pub why: Why,
}

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// In the second version only.
    Added,
    /// In the first version only.
    Removed,
    /// In both, and not the same.
    Changed,
}

/// A file, folder or link as one version has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FileState {
    /// `file`, `folder` or `link`.
    #[serde(rename = "type")]
    pub what: &'static str,
    /// Bytes of a file.
    pub size: u64,
    /// Permission bits in octal.
    pub mode: String,
    /// Where a link points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Tree digest of a file's bytes, hexadecimal, where it may be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DiffItem {
    /// The path below the one that was asked about, `.` for itself; bytes that are not UTF-8 are shown as U+FFFD.
    pub path: String,
    /// The path's bytes in hexadecimal, if they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    /// What became of it.
    pub status: Status,
    /// Of a change, in what: `type`, `size`, `mode`, `target`, `content`.
    pub differs: Vec<&'static str>,
    /// In the first version.
    pub old: Option<FileState>,
    /// In the second version.
    pub new: Option<FileState>,
}

/// How many differences there are, from where the page begins to the end.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DiffSummary {
    /// `workspace/artifact@vN` before.
    pub old: String,
    /// `workspace/artifact@vN` after.
    pub new: String,
    /// Whether contents were compared.
    pub compared: bool,
    /// Why they were not, if somebody asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// Paths in the second version only.
    pub added: u64,
    /// Paths in the first version only.
    pub removed: u64,
    /// Paths in both that differ.
    pub changed: u64,
    /// Paths in both in which no difference was found.
    pub same: u64,
    /// Of these, files of one size whose contents were not compared.
    pub unknown: u64,
    /// The releases in the log.
    pub releases: Vec<ReleaseId>,
}

impl DiffSummary {
    /// Whether any difference was found.
    pub fn differs(&self) -> bool {
        self.added + self.removed + self.changed > 0
    }
}

/// A page of differences.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DiffPage {
    /// What all of it comes to.
    #[serde(flatten)]
    pub summary: DiffSummary,
    /// Sorted by the bytes of their paths.
    pub items: Vec<DiffItem>,
    /// Where to go on: the last path, percent-encoded.
    pub next: Option<String>,
}

/// How many paths are compared between looks at whether to stop.
const LOOK_EVERY: u64 = 1 << 12;

impl Client {
    /// Compares two versions, or a folder or file in each.
    ///
    /// # Errors
    /// `denied` without the right to list both; `not-found`; `integrity` with the place.
    pub fn diff(&self, diff: &Diff, watch: &dyn Watch) -> Result<DiffPage, Problem> {
        let after = diff.after.as_deref().map(decoded).transpose()?;
        let old = self.show(&diff.old.without_path().to_string())?;
        let new = self.show(&diff.new.without_path().to_string())?;
        let (action, why_not) = self.readable(diff, [&old, &new])?;
        let opened = |item: &VersionItem| self.seat().release_item(item, action, &diff.why);
        let (before, behind) = (opened(&old)?, opened(&new)?);
        let mut left = self.side(&before, &diff.old, action, after.as_deref())?;
        let mut right = self.side(&behind, &diff.new, action, after.as_deref())?;
        let summary = DiffSummary {
            old: old.reference,
            new: new.reference,
            compared: action == Action::Read,
            why_not,
            added: 0,
            removed: 0,
            changed: 0,
            same: 0,
            unknown: 0,
            releases: vec![before.release, behind.release],
        };
        let mut merge =
            Merge { page: DiffPage { summary, items: Vec::new(), next: None }, limit: diff.limit, last: None };
        merge.run(&mut left, &mut right, watch)?;
        Ok(merge.page)
    }

    /// Whether both may be opened for reading, asked without acting; else why not.
    fn readable(&self, diff: &Diff, items: [&VersionItem; 2]) -> Result<(Action, Option<String>), Problem> {
        if diff.contents == Contents::Never {
            return Ok((Action::List, None));
        }
        for item in items {
            let answer = self.explain(Explain {
                reference: Some(item.reference.clone()),
                reason: diff.why.reason.clone(),
                confirm: diff.why.confirm.clone(),
                ..Explain::of(Action::Read)
            })?;
            if !answer.allowed {
                let reason = answer.reasons.first().cloned().unwrap_or_else(|| "no policy permits it".to_owned());
                return Ok((Action::List, Some(format!("{} may not be read: {reason}", item.reference))));
            }
        }
        Ok((Action::Read, None))
    }

    fn side(&self, grant: &Grant, asked: &Reference, action: Action, after: Option<&[u8]>) -> Result<Side, Problem> {
        let opened = Opened::new(self.store(), grant)?;
        let map = (action == Action::Read).then(|| opened.map()).transpose()?;
        let prefix = asked.path.clone().unwrap_or_default();
        let side = Side::open(opened.list()?, map, grant.record.clone(), prefix.clone(), after)?;
        if side.is_over() && !prefix.is_empty() && after.is_none() {
            let (shown, version) = (String::from_utf8_lossy(&prefix), &grant.version.reference);
            let problem = Problem::new(
                Code::NotFound,
                format!("no file `{shown}`"),
                format!("{version} holds nothing of this name"),
            );
            return Err(problem.with_try(format!("strongroom ls {version}")));
        }
        Ok(side)
    }
}

struct Merge {
    page: DiffPage,
    limit: usize,
    last: Option<Vec<u8>>,
}

impl Merge {
    fn run(&mut self, old: &mut Side, new: &mut Side, watch: &dyn Watch) -> Result<(), Problem> {
        for round in 0_u64.. {
            if round % LOOK_EVERY == 0 {
                check(watch, "diff")?;
            }
            let order = match (old.ahead(), new.ahead()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.path.cmp(&new.path),
            };
            let one = if order == Ordering::Greater { None } else { old.take()? };
            let other = if order == Ordering::Less { None } else { new.take()? };
            self.compare(one, other);
        }
        Ok(())
    }

    fn compare(&mut self, old: Option<Named>, new: Option<Named>) {
        let summary = &mut self.page.summary;
        let (status, differs) = match (&old, &new) {
            (Some(old), Some(new)) => {
                let differs = old.differs(new);
                if differs.is_empty() {
                    summary.same += 1;
                    summary.unknown += u64::from(old.is_file() && (old.digest.is_none() || new.digest.is_none()));
                    return;
                }
                summary.changed += 1;
                (Status::Changed, differs)
            }
            (Some(_), None) => {
                summary.removed += 1;
                (Status::Removed, Vec::new())
            }
            (None, Some(_)) => {
                summary.added += 1;
                (Status::Added, Vec::new())
            }
            (None, None) => return,
        };
        if self.page.items.len() == self.limit {
            self.page.next = self.page.next.take().or_else(|| self.last.as_deref().map(encoded));
            return;
        }
        let path = old.as_ref().or(new.as_ref()).map(|named| named.path.clone()).unwrap_or_default();
        let shown = if path.is_empty() { ".".to_owned() } else { String::from_utf8_lossy(&path).into_owned() };
        let path_hex = std::str::from_utf8(&path).is_err().then(|| hex::encode(&path));
        let (old, new) = (old.map(Named::told), new.map(Named::told));
        self.page.items.push(DiffItem { path: shown, path_hex, status, differs, old, new });
        self.last = Some(path);
    }
}

#[cfg(test)]
mod tests;
