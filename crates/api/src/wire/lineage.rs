//! What versions were made from, and what was made from them.

use crate::terms::{Class, Environment, Kind, Timestamp, VersionId};

/// Ask for the graph around a version.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct LineageQuery {
    /// The version.
    pub reference: String,
    /// Which way to go.
    pub direction: Direction,
    /// At most so many steps from it.
    pub depth: u32,
    /// Continue behind so many nodes, in the order of the walk.
    pub after: u64,
    /// At most this many nodes, up to 10,000.
    pub limit: u32,
}

/// Which way a lineage is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To what it was made from.
    Ancestors,
    /// To what was made from it.
    Descendants,
}

/// How one version came from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineageKind {
    /// Whoever put it named it as a source.
    From,
    /// The run that made it had it open.
    Run,
}

/// A page of a graph, breadth first. It has no cycle: sources are committed before what is made from them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Lineage {
    /// `workspace/artifact@vN` that was asked about: the first node of the first page.
    pub version: String,
    /// Which way it was followed.
    pub direction: Direction,
    /// In the order of the walk.
    pub nodes: Vec<LineageNode>,
    /// From each node of this page one step on, also to nodes of a later page.
    pub edges: Vec<LineageEdge>,
    /// Where to go on.
    pub next: Option<u64>,
}

/// A version in a graph.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LineageNode {
    /// The version.
    pub id: VersionId,
    /// How many steps it is away.
    pub depth: u32,
    /// `workspace/artifact@vN`; none if the caller may not see it: then nothing else is said, and it is not followed.
    pub version: Option<String>,
    /// What it is.
    pub kind: Option<Kind>,
    /// Its classification.
    pub class: Option<Class>,
    /// Its environment.
    pub environment: Option<Environment>,
    /// When it was put.
    pub created: Option<Timestamp>,
    /// The depth that was asked for ends here, and there is more behind it.
    pub more: bool,
}

/// One step of a lineage.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LineageEdge {
    /// What it was made from.
    pub source: VersionId,
    /// What was made.
    pub made: VersionId,
    /// How.
    pub kind: LineageKind,
}
