//! Which versions are meant by `key archive` of a workspace and `key unarchive` of a key.

use crate::Client;
use api::terms::{KeyState, Name, Timestamp, VersionId};
use api::wire::{KeyArchive, KeyArchived, KeyItem, Problem, VersionItem};

/// The most versions of one command.
const MAX_VERSIONS: usize = 1024;

/// Versions that are meant, and how many that are as old are left where they are.
#[derive(Debug, Default)]
pub struct Archivable {
    /// In the order in which they are found.
    pub versions: Vec<VersionId>,
    /// In use by a name, or with a key that opens nothing now.
    pub left: u64,
}

impl Client {
    /// The versions of a workspace that were made before a time, but for those that an alias names: that is use.
    ///
    /// # Errors
    /// `denied`, `not-found`.
    pub fn archivable(&self, workspace: &Name, before: Timestamp) -> Result<Archivable, Problem> {
        let mut found = Archivable::default();
        self.each_version_of(workspace, &mut |item| {
            if item.created >= before || item.archived.is_some() || item.removed.is_some() {
                return Ok(());
            }
            let opens = matches!(item.key_state, KeyState::Active | KeyState::Deactivated);
            match opens && item.aliases.is_empty() {
                true => found.versions.push(item.id),
                false => found.left += 1,
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The archived versions of a key's domain.
    ///
    /// # Errors
    /// `denied`, `not-found`; of another key there are none.
    pub fn archived_of(&self, key: &KeyItem) -> Result<Vec<VersionId>, Problem> {
        let mut found = Vec::new();
        let (Some(workspace), Some(environment), Some(class)) = (&key.workspace, key.environment, key.class) else {
            return Ok(found);
        };
        let workspace: Name = workspace.parse().map_err(|error| crate::fault::internal("cannot list", error))?;
        self.each_version_of(&workspace, &mut |item: &VersionItem| {
            if (item.environment, item.class) == (environment, class)
                && item.archived.is_some()
                && item.removed.is_none()
            {
                found.push(item.id);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Moves the keys of versions to the archive, or takes them back. What was moved before it fails stays moved: the same again goes on.
    ///
    /// # Errors
    /// As [`Client::key_archive`].
    pub fn archive_all(&self, way: ArchiveWay, versions: &[VersionId], reason: &str) -> Result<KeyArchived, Problem> {
        let mut done = KeyArchived { moved: Vec::new(), already: 0, shared_with: Vec::new(), receipts: Vec::new() };
        for some in versions.chunks(MAX_VERSIONS) {
            let wanted = KeyArchive { versions: some.to_vec(), reason: reason.to_owned() };
            let told = match way {
                ArchiveWay::In => self.key_archive(wanted)?,
                ArchiveWay::Out => self.key_unarchive(wanted)?,
            };
            done.moved.extend(told.moved);
            done.already += told.already;
            done.shared_with.extend(told.shared_with);
            done.receipts.extend(told.receipts);
        }
        Ok(done)
    }
}

/// Where keys are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveWay {
    /// To the archive.
    In,
    /// Back into use.
    Out,
}
