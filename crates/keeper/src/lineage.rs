//! Lineage: the graph of what versions were made from, walked breadth first in either direction, as far as the caller may see.
//!
//! What a version was made from is in its own row, and `show` tells it: a source that the caller may not see is a node without a name.
//! What was made from a version is known only to whoever may see that: what the caller may not see is left out, as if it were not there.

use crate::datastore::{Transaction, Value};
use crate::decide::judge;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts::{self, Actor, Circumstances, Found};
use crate::journal::in_sizes;
use crate::rows::{Artifact, Edge, Table, Version, Workspace};
use crate::session::Session;
use crate::show::{self, Seen};
use api::terms::{Action, ArtifactId, Class, DecisionId, Environment, Kind, Timestamp, VersionId, WorkspaceId};
use api::wire::{Direction, Lineage, LineageEdge, LineageNode, LineageQuery};
use policy::{Likeness, Set};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// The longest page, in nodes.
const MAX_PAGE: u32 = 10_000;
/// The most nodes of a graph: what is beyond is asked for from a node further on.
const MAX_NODES: u64 = 100_000;
/// The most edges that one walk reads.
const MAX_EDGES: usize = 1_000_000;
/// How many nodes are followed at a time.
const STEP: usize = 64;

/// A page of the graph around a version.
pub(crate) fn graph(engine: &Engine, session: &Session, query: &LineageQuery) -> Result<Lineage> {
    let reference = show::parsed(&query.reference)?;
    let end = query.after.saturating_add(u64::from(query.limit.clamp(1, MAX_PAGE)));
    if end > MAX_NODES {
        let why = format!("it is told up to {MAX_NODES} nodes: ask from a node further on");
        return Err(Error::bad("the lineage", why));
    }
    let page = to_usize(query.after)..to_usize(end);
    Seen::reference(&reference).guarded(engine, session, |tx, actor| {
        let found = facts::resolve(engine, tx, &reference)?.ok_or_else(|| Error::NotFound(reference.to_string()))?;
        facts::coherent(&found)?;
        show::may_list(engine, tx, session, actor, found.resource())?;
        let version = format!("{}@v{}", found.path(), found.version.number);
        let mut walk = Walk::new(engine, session, tx, actor, query)?;
        walk.run(tx, &found, page.end)?;
        walk.refuse_cycles()?;
        Ok(walk.told(version, page.clone()))
    })
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A version on the way.
struct Node {
    id: VersionId,
    depth: u32,
    /// What is known of it; none if the caller may not see it.
    seen: Option<Known>,
    more: bool,
}

/// What an answer says of a version, and what it was made from.
struct Known {
    version: String,
    kind: Kind,
    class: Class,
    environment: Environment,
    created: Timestamp,
    from: Vec<VersionId>,
}

impl Known {
    fn of(found: &Found) -> Self {
        Self {
            version: format!("{}@v{}", found.path(), found.version.number),
            kind: found.artifact.kind,
            class: found.version.class,
            environment: found.version.environment,
            created: found.version.created,
            from: found.version.from.clone(),
        }
    }
}

struct Walk<'a> {
    engine: &'a Engine,
    session: &'a Session,
    actor: &'a Actor,
    rules: Arc<Set>,
    circumstances: Circumstances,
    direction: Direction,
    depth: u32,
    nodes: Vec<Node>,
    places: HashMap<VersionId, usize>,
    /// Each with the place of the node that it was followed from.
    edges: Vec<(usize, LineageEdge)>,
    read: usize,
    answers: HashMap<Likeness, bool>,
    artifacts: HashMap<ArtifactId, Artifact>,
    workspaces: HashMap<WorkspaceId, Workspace>,
}

impl<'a> Walk<'a> {
    fn new(
        engine: &'a Engine,
        session: &'a Session,
        tx: &mut dyn Transaction,
        actor: &'a Actor,
        query: &LineageQuery,
    ) -> Result<Self> {
        Ok(Self {
            engine,
            session,
            actor,
            rules: engine.rules(tx)?,
            circumstances: Circumstances { confirmed: true, ..Circumstances::plain(engine.now()?)? },
            direction: query.direction,
            depth: query.depth,
            nodes: Vec::new(),
            places: HashMap::new(),
            edges: Vec::new(),
            read: 0,
            answers: HashMap::new(),
            artifacts: HashMap::new(),
            workspaces: HashMap::new(),
        })
    }

    /// Follows the nodes before `end`, so that every edge from them is known.
    fn run(&mut self, tx: &mut dyn Transaction, root: &Found, end: usize) -> Result<()> {
        self.push(root.version.id, 0, Some(Known::of(root)));
        let mut at = 0;
        while at < self.nodes.len().min(end) {
            let until = self.nodes.len().min(end).min(at + STEP);
            let steps = self.steps(tx, at..until)?;
            self.read += steps.len();
            if self.read > MAX_EDGES {
                let why = format!("more than {MAX_EDGES} steps were followed: ask from a node further on");
                return Err(Error::bad("the lineage", why));
            }
            let new: HashSet<VersionId> =
                steps.iter().map(|(_, edge)| self.far(edge)).filter(|id| !self.places.contains_key(id)).collect();
            let versions = self.versions(tx, new.into_iter().collect())?;
            for (from, edge) in steps {
                self.step(tx, from, edge, &versions)?;
            }
            at = until;
        }
        Ok(())
    }

    fn push(&mut self, id: VersionId, depth: u32, seen: Option<Known>) {
        self.places.insert(id, self.nodes.len());
        self.nodes.push(Node { id, depth, seen, more: false });
    }

    /// Where an edge leads.
    fn far(&self, edge: &Edge) -> VersionId {
        match self.direction {
            Direction::Ancestors => edge.source,
            Direction::Descendants => edge.made,
        }
    }

    /// One step on from each of these nodes, in their order.
    fn steps(&self, tx: &mut dyn Transaction, nodes: Range<usize>) -> Result<Vec<(usize, Edge)>> {
        let here: Vec<(usize, &Node)> = nodes.clone().zip(self.nodes.get(nodes).unwrap_or_default()).collect();
        let guard = &self.engine.keys.guard;
        let mut found: Vec<Edge> = Vec::new();
        match self.direction {
            Direction::Ancestors => {
                let wanted: Vec<(usize, VersionId, VersionId)> = here
                    .iter()
                    .filter_map(|(at, node)| Some((*at, node.id, node.seen.as_ref()?)))
                    .flat_map(|(at, made, seen)| seen.from.iter().map(move |&source| (at, source, made)))
                    .collect();
                let ids: Vec<_> = wanted.iter().map(|(_, source, made)| Edge::id_of(*source, *made)).collect();
                in_sizes(&ids, |page| {
                    let values: Vec<Value<'_>> = page.iter().map(Into::into).collect();
                    found.extend(guard.select::<Edge>(tx, &format!("WHERE id IN ({})", marks(page.len())), &values)?);
                    Ok(())
                })?;
                let known: HashMap<(VersionId, VersionId), &Edge> =
                    found.iter().map(|edge| ((edge.source, edge.made), edge)).collect();
                let edge = |(at, source, made): (usize, VersionId, VersionId)| {
                    let edge = known.get(&(source, made)).copied().cloned();
                    let lost = || Error::Altered { table: Edge::NAME, row: hex::encode(Edge::id_of(source, made)) };
                    edge.map(|edge| (at, edge)).ok_or_else(lost)
                };
                wanted.into_iter().map(edge).collect()
            }
            Direction::Descendants => {
                let places: HashMap<VersionId, usize> =
                    here.iter().filter(|(_, node)| node.seen.is_some()).map(|(at, node)| (node.id, *at)).collect();
                let ids: Vec<VersionId> = here.iter().map(|(_, node)| node.id).collect();
                let room = i64::try_from(MAX_EDGES + 1).unwrap_or(i64::MAX);
                in_sizes(&ids, |page| {
                    let mut values: Vec<Value<'_>> = page.iter().map(|id| id.as_bytes().into()).collect();
                    values.push(room.into());
                    let tail = format!(
                        "WHERE source IN ({}) ORDER BY source, made LIMIT ${}",
                        marks(page.len()),
                        values.len()
                    );
                    found.extend(guard.select::<Edge>(tx, &tail, &values)?);
                    Ok(())
                })?;
                let mut steps: Vec<(usize, Edge)> =
                    found.into_iter().filter_map(|edge| Some((*places.get(&edge.source)?, edge))).collect();
                // Stable: of one node they stay in the order of their ids.
                steps.sort_by_key(|(at, _)| *at);
                Ok(steps)
            }
        }
    }

    fn versions(&self, tx: &mut dyn Transaction, mut ids: Vec<VersionId>) -> Result<HashMap<VersionId, Version>> {
        ids.sort_unstable_by_key(|id| *id.as_bytes());
        let mut found = HashMap::with_capacity(ids.len());
        in_sizes(&ids, |page| {
            let values: Vec<Value<'_>> = page.iter().map(|id| id.as_bytes().into()).collect();
            let tail = format!("WHERE id IN ({})", marks(page.len()));
            let rows: Vec<Version> = self.engine.keys.guard.select(tx, &tail, &values)?;
            found.extend(rows.into_iter().map(|version| (version.id, version)));
            Ok(())
        })?;
        Ok(found)
    }

    /// Follows one edge.
    fn step(
        &mut self,
        tx: &mut dyn Transaction,
        from: usize,
        edge: Edge,
        versions: &HashMap<VersionId, Version>,
    ) -> Result<()> {
        let far = self.far(&edge);
        let altered = || Error::Altered { table: Edge::NAME, row: hex::encode(edge.id()) };
        let depth = self.nodes.get(from).map_or(u32::MAX, |node| node.depth);
        if let Some(&at) = self.places.get(&far) {
            // What was made from something says so itself.
            let known = self.nodes.get(at).and_then(|node| node.seen.as_ref());
            if self.direction == Direction::Descendants && known.is_none_or(|known| !known.from.contains(&edge.source))
            {
                return Err(altered());
            }
            self.edges.push((from, told(&edge)));
            return Ok(());
        }
        let lost = || Error::Altered { table: Version::NAME, row: far.to_string() };
        let version = versions.get(&far).ok_or_else(lost)?;
        if self.direction == Direction::Descendants && !version.from.contains(&edge.source) {
            return Err(altered());
        }
        let found = self.located(tx, version)?;
        let seen = self.sees(&found).then(|| Known::of(&found));
        if seen.is_none() && self.direction == Direction::Descendants {
            return Ok(());
        }
        if depth >= self.depth {
            if let Some(node) = self.nodes.get_mut(from) {
                node.more = true;
            }
            return Ok(());
        }
        self.push(far, depth + 1, seen);
        self.edges.push((from, told(&edge)));
        Ok(())
    }

    fn located(&mut self, tx: &mut dyn Transaction, version: &Version) -> Result<Found> {
        let guard = &self.engine.keys.guard;
        let artifact = match self.artifacts.get(&version.artifact) {
            Some(artifact) => artifact.clone(),
            None => guard.expect::<Artifact>(tx, version.artifact.as_bytes())?,
        };
        let workspace = match self.workspaces.get(&artifact.workspace) {
            Some(workspace) => workspace.clone(),
            None => guard.expect::<Workspace>(tx, artifact.workspace.as_bytes())?,
        };
        self.artifacts.entry(artifact.id).or_insert_with(|| artifact.clone());
        self.workspaces.entry(workspace.id).or_insert_with(|| workspace.clone());
        let found = Found { workspace, artifact, version: version.clone() };
        facts::coherent(&found)?;
        Ok(found)
    }

    /// Whether its names may be listed. Asked once for versions that the policies cannot tell apart.
    fn sees(&mut self, found: &Found) -> bool {
        let (engine, session, actor) = (self.engine, self.session, self.actor);
        let query = facts::query(engine, session, actor, Action::List, found.resource(), &self.circumstances);
        let rules = &self.rules;
        let answer = || judge(rules, DecisionId::from_bytes([0; 16]), &query).answer.allowed;
        *self.answers.entry(Likeness::of(rules, &query)).or_insert_with(answer)
    }

    /// Sources are committed before what is made from them, so that rows which the keeper wrote lead back to none of themselves.
    fn refuse_cycles(&self) -> Result<()> {
        let mut waits = vec![0_usize; self.nodes.len()];
        let mut leads: HashMap<usize, Vec<usize>> = HashMap::new();
        for (_, edge) in &self.edges {
            if let (Some(&source), Some(&made)) = (self.places.get(&edge.source), self.places.get(&edge.made)) {
                leads.entry(source).or_default().push(made);
                if let Some(waits) = waits.get_mut(made) {
                    *waits += 1;
                }
            }
        }
        let mut ready: Vec<usize> = (0..waits.len()).filter(|at| waits.get(*at) == Some(&0)).collect();
        let mut done = 0;
        while let Some(at) = ready.pop() {
            done += 1;
            for &made in leads.get(&at).into_iter().flatten() {
                if let Some(waits) = waits.get_mut(made) {
                    *waits -= 1;
                    if *waits == 0 {
                        ready.push(made);
                    }
                }
            }
        }
        if done == waits.len() {
            return Ok(());
        }
        Err(Error::Altered { table: Edge::NAME, row: "a version that was made from itself".into() })
    }

    fn told(self, version: String, page: Range<usize>) -> Lineage {
        let next = (self.nodes.len() > page.end).then_some(page.end as u64);
        let edges = self.edges.into_iter().filter(|(from, _)| page.contains(from)).map(|(_, edge)| edge).collect();
        let nodes = self.nodes.into_iter().skip(page.start).take(page.len()).map(Node::told).collect();
        Lineage { version, direction: self.direction, nodes, edges, next }
    }
}

impl Node {
    fn told(self) -> LineageNode {
        let Self { id, depth, seen, more } = self;
        LineageNode {
            id,
            depth,
            kind: seen.as_ref().map(|seen| seen.kind),
            class: seen.as_ref().map(|seen| seen.class),
            environment: seen.as_ref().map(|seen| seen.environment),
            created: seen.as_ref().map(|seen| seen.created),
            version: seen.map(|seen| seen.version),
            more,
        }
    }
}

fn told(edge: &Edge) -> LineageEdge {
    LineageEdge { source: edge.source, made: edge.made, kind: edge.kind }
}

fn marks(count: usize) -> String {
    (1..=count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}
