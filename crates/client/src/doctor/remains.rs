//! What killed commands left.

use super::{Check, Mend, Places, Unit};
use crate::dest;
use std::path::{Path, PathBuf};

const STAGINGS: Unit = Unit::new("stagings", "what a killed get left holds plaintext");
const SCRATCH: Unit = Unit::new("scratch", "sealed bytes of killed commands fill the disk");
const JOURNALS: Unit = Unit::new("journals", "what an unfinished put knew is of no use after its lease");

/// The lease of a version being written, in seconds.
const LEASE_SECS: u64 = 24 * 3_600;

pub(super) fn checks(places: &Places) -> Vec<Check> {
    vec![stagings(&places.here), scratch(&places.dir.join("scratch")), journals(&places.dir.join("drafts"))]
}

fn stagings(here: &Path) -> Check {
    match dest::stagings(here) {
        Err(error) => STAGINGS.unknown(format!("`{}` cannot be listed: {error}", here.display())),
        Ok(0) => STAGINGS.ok("none in the working folder"),
        Ok(found) => STAGINGS
            .finding(format!("{found} in `{}`, of gets that were killed", here.display()))
            .with_try("strongroom doctor --fix")
            .mended_by(Mend::Stagings { folder: here.to_owned() }),
    }
}

fn scratch(folder: &Path) -> Check {
    let old = older(folder, LEASE_SECS);
    if old.is_empty() {
        return SCRATCH.ok("nothing is left there");
    }
    SCRATCH
        .warning(format!("{} files of killed commands", old.len()))
        .with_try("strongroom doctor --fix")
        .mended_by(Mend::Remove { paths: old })
}

/// A journal whose lock nobody holds, and which is older than the lease of its version.
fn journals(drafts: &Path) -> Check {
    let (mut old, mut young) = (Vec::new(), 0);
    for folder in listed(drafts).into_iter().filter(|path| path.is_dir()) {
        let files = listed(&folder);
        let stale = older(&folder, LEASE_SECS);
        let free = stale.len() == files.len() && !held(&folder.with_extension("lock"));
        if free && !files.is_empty() {
            old.push(folder);
        } else if !files.is_empty() {
            young += 1;
        }
    }
    match (old.len(), young) {
        (0, 0) => JOURNALS.ok("no put is unfinished"),
        (0, young) => JOURNALS.ok(format!("{young} puts go on where they were if they are run again")),
        (count, _) => JOURNALS
            .warning(format!("{count} journals of puts whose lease is over"))
            .with_try("strongroom doctor --fix")
            .mended_by(Mend::Remove { paths: old }),
    }
}

fn held(lock: &Path) -> bool {
    std::fs::File::open(lock).is_ok_and(|file| file.try_lock().is_err())
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).map(|found| found.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

/// The plain files in a folder that nobody changed for so long.
fn older(folder: &Path, secs: u64) -> Vec<PathBuf> {
    let before = crate::system::before(secs);
    let is_old = |path: &PathBuf| {
        std::fs::symlink_metadata(path)
            .is_ok_and(|meta| meta.is_file() && meta.modified().is_ok_and(|changed| changed < before))
    };
    listed(folder).into_iter().filter(is_old).collect()
}
