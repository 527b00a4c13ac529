//! `lineage`: a graph as JSON, a tree as text.

use super::{Context, near};
use crate::args::{LineageArgs, LineageCommand};
use crate::output::{Failure, printable};
use api::terms::VersionId;
use api::wire::{Direction, Lineage, LineageNode, LineageQuery};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;

pub fn lineage(context: &Context, command: &LineageCommand) -> Result<u8, Failure> {
    let (direction, args) = match command {
        LineageCommand::Show(args) => (Direction::Ancestors, args),
        LineageCommand::Impact(args) => (Direction::Descendants, args),
    };
    let LineageArgs { reference, depth, limit, after } = args;
    let asked = super::data::reference(OsStr::new(reference))?;
    if asked.path.is_some() {
        return Err(Failure::usage("bad reference", "lineage is of whole versions: leave the path out"));
    }
    context.with(|client| {
        let query =
            LineageQuery { reference: asked.to_string(), direction, depth: *depth, after: *after, limit: *limit };
        let graph = client.lineage(query).map_err(|problem| near::told(client, &asked, problem.into()))?;
        if context.output.is_lines() {
            // Nodes, then edges, then where to go on.
            context.output.list("lineage", &json!({"nodes": graph.nodes}), "nodes", String::new)?;
            let edges = json!({"edges": graph.edges, "next": graph.next});
            context.output.list("lineage-edge", &edges, "edges", String::new)?;
            return Ok(0);
        }
        context.output.result("lineage", &graph, || text(&graph))?;
        Ok(0)
    })
}

fn text(graph: &Lineage) -> String {
    let mut out = tree(graph);
    if graph.edges.is_empty() && graph.next.is_none() && graph.nodes.len() == 1 {
        out.push_str(match graph.direction {
            Direction::Ancestors => "made from nothing that was named (put --from names it)\n",
            Direction::Descendants => "nothing was made from it, as far as you may see\n",
        });
    }
    if let Some(next) = graph.next {
        out.push_str(&format!("more: --after {next}\n"));
    }
    out
}

/// Each version once with what is behind it; where it is met again, it is only named.
fn tree(graph: &Lineage) -> String {
    let nodes: HashMap<VersionId, &LineageNode> = graph.nodes.iter().map(|node| (node.id, node)).collect();
    let mut below: HashMap<VersionId, Vec<VersionId>> = HashMap::new();
    let mut reached = HashSet::new();
    for edge in &graph.edges {
        let (from, to) = match graph.direction {
            Direction::Ancestors => (edge.made, edge.source),
            Direction::Descendants => (edge.source, edge.made),
        };
        below.entry(from).or_default().push(to);
        reached.insert(to);
    }
    // A later page begins with what an earlier one led to.
    let tops = graph.nodes.iter().filter(|node| !reached.contains(&node.id));
    let mut open: Vec<(VersionId, usize)> = tops.map(|node| (node.id, 0)).collect();
    open.reverse();
    let (mut out, mut told) = (String::new(), HashSet::new());
    while let Some((id, indent)) = open.pop() {
        out.push_str(&"  ".repeat(indent.min(MAX_INDENT)));
        let again = !told.insert(id);
        match nodes.get(&id) {
            None => out.push_str(&format!("{id}  (on a later page)")),
            Some(LineageNode { version: None, .. }) => out.push_str(&format!("{id}  (not visible)")),
            Some(node) => out.push_str(&line(node, again)),
        }
        out.push('\n');
        if !again {
            let steps = below.get(&id).into_iter().flatten().rev();
            open.extend(steps.map(|step| (*step, indent + 1)));
        }
    }
    out
}

fn line(node: &LineageNode, again: bool) -> String {
    let version = printable(node.version.as_deref().unwrap_or_default()).to_string();
    if again {
        return format!("{version}  (above)");
    }
    let mut out = version;
    let words = [
        node.kind.map(|kind| kind.to_string()),
        node.class.map(|class| class.to_string()),
        node.environment.map(|environment| environment.to_string()),
        node.created.map(|created| created.to_string()),
    ];
    for word in words.into_iter().flatten() {
        out.push_str(&format!("  {word}"));
    }
    if node.more {
        out.push_str("  (and more behind it)");
    }
    out
}

/// A chain that is longer goes on straight down.
const MAX_INDENT: usize = 40;

#[cfg(test)]
mod tests {
    use super::text;
    use api::terms::VersionId;
    use api::wire::{Direction, Lineage, LineageEdge, LineageKind, LineageNode};

    fn id(n: u8) -> VersionId {
        VersionId::from_bytes([n; 16])
    }

    fn node(n: u8, version: Option<&str>) -> LineageNode {
        LineageNode {
            id: id(n),
            depth: 0,
            version: version.map(str::to_owned),
            kind: None,
            class: None,
            environment: None,
            created: None,
            more: n == 3,
        }
    }

    #[test]
    fn a_version_met_twice_is_told_once_and_what_is_hidden_has_no_name() {
        let edge = |made, source| LineageEdge { source: id(source), made: id(made), kind: LineageKind::From };
        let graph = Lineage {
            version: "lab/a@v1".into(),
            direction: Direction::Ancestors,
            nodes: vec![node(1, Some("lab/a@v1")), node(2, Some("lab/b@v1")), node(3, Some("lab/c@v1")), node(4, None)],
            edges: vec![edge(1, 2), edge(1, 3), edge(2, 3), edge(2, 4), edge(4, 9)],
            next: Some(4),
        };
        let (hidden, later) = ("04".repeat(16), "09".repeat(16));
        assert_eq!(
            text(&graph),
            format!(
                "lab/a@v1\n  lab/b@v1\n    lab/c@v1  (and more behind it)\n    {hidden}  (not visible)\n      {later}  \
                 (on a later page)\n  lab/c@v1  (above)\nmore: --after 4\n"
            )
        );
    }
}
