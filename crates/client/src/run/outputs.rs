//! The outputs of a run: sealed from the room, with how they were made.

use super::{Output, Running, room};
use crate::put::{Put, PutReport};
use crate::source::Filter;
use crate::watch::Watch as _;
use api::terms::{Code, Exit};
use api::wire::{MadeBy, Problem, Provenance};
use rustix::fs::Dir;
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(5);

impl Running<'_> {
    /// Seals every output. Before the first one it is known that none is empty.
    pub(super) fn seal(&self, room: &room::Room, provenance: &Provenance) -> Result<Vec<PutReport>, Problem> {
        let mut folders: Vec<(&str, &Output, OwnedFd)> = Vec::with_capacity(self.run.outputs.len());
        for (name, output) in &self.run.outputs {
            let folder = room.folder(&format!("out/{name}")).ok().filter(holds_something);
            let folder = folder.ok_or_else(|| {
                let variable = super::variable("OUTPUT", name);
                let why = format!("the command left nothing in the folder that {variable} names; nothing was sealed");
                Problem::new(Code::Findings, format!("the output `{name}` is empty"), why)
            })?;
            folders.push((name, output, folder));
        }
        let mut reports = Vec::with_capacity(folders.len());
        for (name, output, folder) in &folders {
            reports.push(self.seal_one(name, output, folder, provenance)?);
        }
        Ok(reports)
    }

    /// What cannot be sealed for a reason that may pass stays in memory, and is tried again.
    fn seal_one(
        &self,
        name: &str,
        output: &Output,
        folder: &OwnedFd,
        provenance: &Provenance,
    ) -> Result<PutReport, Problem> {
        let put = self.put(output, folder, provenance)?;
        let mut left = self.run.patience;
        loop {
            let problem = match self.client.put(&put, self.control) {
                Err(problem) if problem.code.exit() == Exit::Temporary && !left.is_zero() => problem,
                Err(problem) => return Err(self.control.stopped().unwrap_or_else(|| of_output(name, problem))),
                Ok(report) => return Ok(report),
            };
            self.control.note(&format!(
                "the output `{name}` could not be sealed: {problem}. It is kept in memory and tried again for {} s",
                left.as_secs()
            ));
            let pause = PAUSE.min(left);
            left -= pause;
            if !self.control.wait(pause) {
                return Err(self.control.stopped().unwrap_or_else(|| of_output(name, problem)));
            }
        }
    }

    fn put(&self, output: &Output, folder: &OwnedFd, provenance: &Provenance) -> Result<Put, Problem> {
        let filter = Filter::new(&[], &[]).map_err(|e| crate::fault::internal("cannot seal an output", e))?;
        Ok(Put {
            source: PathBuf::from(format!("/proc/self/fd/{}/.", folder.as_raw_fd())),
            workspace: output.workspace.clone(),
            artifact: output.artifact.clone(),
            class: output.class,
            at_least: output.at_least,
            environment: output.environment,
            kind: output.kind,
            tags: BTreeMap::new(),
            alias: None,
            from: Vec::new(),
            made: Some(MadeBy { run: self.started.run, provenance: provenance.clone() }),
            filter,
            // A room has no past: what its files look like from outside tells nothing about an earlier version's.
            afresh: true,
            no_copy: false,
        })
    }
}

fn holds_something(folder: &OwnedFd) -> bool {
    let named = |name: &[u8]| name != b"." && name != b"..";
    Dir::read_from(folder).is_ok_and(|listing| listing.flatten().any(|entry| named(entry.file_name().to_bytes())))
}

fn of_output(name: &str, problem: Problem) -> Problem {
    Problem { what: format!("the output `{name}` is lost: {}", problem.what), ..problem }
}
