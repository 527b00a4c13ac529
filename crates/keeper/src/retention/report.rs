//! What retention keeps and removes, for whoever may list it.

use super::fates;
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::Result;
use crate::removal;
use crate::rows::{Artifact, Workspace};
use crate::session::Session;
use crate::show::{self, Seen};
use api::terms::{Name, Reference, Selector, Timestamp};
use api::wire::{Keeping, KeptVersion, RetentionItem, RetentionQuery, RetentionReport};

/// The most artifacts in a page, and the most versions that are named.
const PAGE: i64 = 100;
const MAX_NAMED: usize = 1_000;

/// How much is told of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Counts,
    Versions,
}

/// The report on a workspace, or on an artifact.
pub(crate) fn report(engine: &Engine, session: &Session, query: &RetentionQuery) -> Result<RetentionReport> {
    let now = engine.now()?;
    if let Ok(name) = query.place.parse::<Name>() {
        return Seen::workspace(&name).guarded(engine, session, |tx, actor| {
            let workspace = show::listable_workspace(engine, tx, session, actor, &name)?;
            let tail = "WHERE workspace = $1 AND name > $2 AND latest > 0 ORDER BY name LIMIT $3";
            let after = query.after.as_deref().unwrap_or_default();
            let values = [workspace.id.as_bytes().into(), after.into(), (PAGE + 1).into()];
            let mut page: Vec<Artifact> = engine.keys.guard.select(tx, tail, &values)?;
            let more = page.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
            page.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
            let next = page.last().map(|artifact| artifact.name.to_string()).filter(|_| more);
            let items = page.iter().map(|artifact| item(engine, tx, &workspace, artifact, now, Detail::Counts));
            Ok(RetentionReport { items: items.collect::<Result<_>>()?, next, receipt: None })
        });
    }
    let reference = Reference { selector: Selector::Latest, ..show::parsed(&query.place)? };
    Seen::reference(&reference).guarded(engine, session, |tx, actor| {
        let (workspace, artifact) = show::listable(engine, tx, session, actor, &reference)?;
        let item = item(engine, tx, &workspace, &artifact, now, Detail::Versions)?;
        Ok(RetentionReport { items: vec![item], next: None, receipt: None })
    })
}

/// What is kept of an artifact, as its row says.
pub(super) fn item(
    engine: &Engine,
    tx: &mut dyn Transaction,
    workspace: &Workspace,
    artifact: &Artifact,
    now: Timestamp,
    detail: Detail,
) -> Result<RetentionItem> {
    let path = format!("{}/{}", workspace.name, artifact.name);
    let mut item = RetentionItem {
        artifact: path.clone(),
        keep_secs: artifact.retention.as_ref().and_then(|rule| rule.keep_secs),
        keep_last: artifact.retention.as_ref().and_then(|rule| rule.keep_last),
        holds: artifact.holds.keys().cloned().collect(),
        kept: 0,
        due: 0,
        removed: 0,
        destroyed: 0,
        versions: Vec::new(),
    };
    let mut there = fates(engine, tx, artifact, now)?.into_iter();
    for version in removal::every(engine, tx, artifact)? {
        let (keeping, until) = match &version.removed {
            Some(removed) => match removed.destroyed {
                Some(at) => (Keeping::Destroyed, Some(at)),
                None => (Keeping::Removed, removed.ends()),
            },
            // In the same order.
            None => there.next().map_or((Keeping::NoRule, None), |(_, fate)| (fate.keeping, fate.young_until)),
        };
        match keeping {
            Keeping::Destroyed => item.destroyed += 1,
            Keeping::Removed => item.removed += 1,
            Keeping::Due => item.due += 1,
            _ => item.kept += 1,
        }
        if detail == Detail::Versions && item.versions.len() < MAX_NAMED {
            let (version, created) = (format!("{path}@v{}", version.number), version.created);
            item.versions.push(KeptVersion { version, created, fate: keeping, until });
        }
    }
    Ok(item)
}
