//! Names that `ls` shows to who asks.

use crate::args::Global;
use crate::unlock;
use api::terms::{Action, Name};
use api::wire::{Explain, ListPage, ListQuery};
use client::Client;
use std::ffi::OsString;

/// A vault that opened without a question.
pub struct Names {
    client: Client,
}

/// The most names that are offered of a kind.
const MAX_PAGES: usize = 5;
const PAGE: u32 = 1_000;
/// So many of the newest versions.
const NEWEST: u32 = 20;

impl Names {
    /// Opens the vault that these options are about.
    pub fn open(options: &Global) -> Option<Self> {
        let client = unlock::open_unasked(options).ok()??;
        Some(Self { client })
    }

    /// Workspaces, each with something behind it.
    pub fn workspaces(&self, behind: &str) -> Option<Vec<String>> {
        Some(self.all(None)?.into_iter().map(|name| format!("{name}{behind}")).collect())
    }

    /// Artifacts of a workspace, as `WORKSPACE/ARTIFACT`.
    pub fn artifacts(&self, workspace: &str) -> Option<Vec<String>> {
        let names = self.all(Some(self.listed(None, workspace)?))?;
        Some(names.into_iter().map(|name| format!("{workspace}/{name}")).collect())
    }

    /// Aliases and the newest versions of an artifact, as `WORKSPACE/ARTIFACT@NAME`.
    pub fn versions(&self, artifact: &str) -> Option<Vec<String>> {
        let mut found = self.aliases_of(artifact)?;
        let (versions, _) = self.client.history(artifact, None, NEWEST).ok()?;
        found.extend(versions.iter().map(|version| format!("v{}", version.number)));
        Some(found.into_iter().map(|name| format!("{artifact}@{name}")).collect())
    }

    /// The aliases of the first artifact that a command line names.
    pub fn aliases(&self, line: &[OsString]) -> Option<Vec<String>> {
        let named = line.iter().filter_map(|word| word.to_str()).filter(|word| !word.starts_with(['-', '/', '.']));
        let mut references = named.filter_map(|word| word.parse::<api::terms::Reference>().ok());
        references.find_map(|named| self.aliases_of(&format!("{}/{}", named.workspace, named.artifact)))
    }

    /// Principals, for whoever may list them.
    pub fn principals(&self) -> Option<Vec<String>> {
        self.client.explain(Explain::of(Action::List)).ok().filter(|answer| answer.allowed)?;
        let items = self.client.principals().ok()?;
        Some(items.into_iter().map(|item| item.name).collect())
    }

    /// What runs in passing.
    pub fn jobs(&self) -> Option<Vec<String>> {
        Some(self.client.jobs().ok()?.items.into_iter().map(|job| job.name).collect())
    }

    /// Depots, by id.
    pub fn depots(&self) -> Option<Vec<String>> {
        Some(self.client.depot_ids().iter().map(ToString::to_string).collect())
    }

    fn aliases_of(&self, artifact: &str) -> Option<Vec<String>> {
        let (workspace, name) = artifact.split_once('/')?;
        self.listed(Some(self.listed(None, workspace)?), name)?;
        let question = Explain { reference: Some(artifact.to_owned()), ..Explain::of(Action::List) };
        self.client.explain(question).ok().filter(|answer| answer.allowed)?;
        let items = self.client.aliases(artifact).ok()?;
        Some(items.into_iter().map(|item| item.alias.to_string()).collect())
    }

    /// A name, if it is listed.
    fn listed(&self, workspace: Option<Name>, name: &str) -> Option<Name> {
        self.all(workspace)?.iter().any(|listed| listed == name).then(|| name.parse().ok()).flatten()
    }

    fn all(&self, workspace: Option<Name>) -> Option<Vec<String>> {
        let (mut found, mut after) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let query = ListQuery { workspace: workspace.clone(), after, limit: PAGE };
            let ListPage { items, next, .. } = self.client.names(query).ok()?;
            found.extend(items.into_iter().map(|item| item.name));
            after = next;
            if after.is_none() {
                break;
            }
        }
        Some(found)
    }
}
