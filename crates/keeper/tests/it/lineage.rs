//! Where versions came from and what became of them, as far as the caller may see; and what a writer of the database cannot hide.

use super::decisions::{principal, staff};
use crate::world::{Client, Put, World, code};
use api::terms::{Class, Code, Mode, VersionId};
use api::wire::{Answer, Command, Direction, Lineage, LineageEdge, LineageQuery, Problem};
use std::collections::BTreeSet;

fn query(reference: &str, direction: Direction) -> LineageQuery {
    LineageQuery { reference: reference.into(), direction, depth: 100, after: 0, limit: 1_000 }
}

fn ask(client: &Client<'_>, query: LineageQuery) -> Result<Lineage, Problem> {
    match client.call(Command::Lineage(query))? {
        Answer::Lineage(graph) => Ok(*graph),
        other => panic!("{other:?}"),
    }
}

fn names(graph: &Lineage) -> Vec<(&str, u32)> {
    graph.nodes.iter().map(|node| (node.version.as_deref().unwrap_or("hidden"), node.depth)).collect()
}

fn made(client: &Client<'_>, reference: &str, from: &[&str]) -> VersionId {
    let from = from.iter().map(|&text| text.to_owned()).collect();
    client.put(&Put { from, ..Put::new(reference).class(Class::Internal) }).unwrap().version.id
}

/// raw -> (clean, split) -> model -> report, and raw -> report.
fn diamond() -> World {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    made(&client, "lab/raw", &[]);
    made(&client, "lab/clean", &["lab/raw"]);
    made(&client, "lab/split", &["lab/raw@v1"]);
    made(&client, "lab/model", &["lab/clean", "lab/split"]);
    made(&client, "lab/report", &["lab/model", "lab/raw"]);
    drop(client);
    keeper.close().unwrap();
    world
}

#[test]
fn a_graph_is_walked_both_ways_and_each_version_is_met_once() {
    let world = diamond();
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let up = ask(&client, query("lab/report", Direction::Ancestors)).unwrap();
    let order =
        [("lab/report@v1", 0), ("lab/model@v1", 1), ("lab/raw@v1", 1), ("lab/clean@v1", 2), ("lab/split@v1", 2)];
    assert_eq!(names(&up), order);
    assert_eq!((up.edges.len(), up.next, up.version.as_str()), (6, None, "lab/report@v1"));
    let down = ask(&client, query("lab/raw", Direction::Descendants)).unwrap();
    let of = |graph: &Lineage| graph.nodes.iter().map(|node| node.version.clone().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(of(&down), of(&up));
    let set = |edges: &[LineageEdge]| {
        edges.iter().map(|e| (e.source.to_string(), e.made.to_string())).collect::<BTreeSet<_>>()
    };
    assert_eq!(set(&down.edges), set(&up.edges), "the reverse of an edge is that edge");
    let model = ask(&client, query("lab/model", Direction::Descendants)).unwrap();
    assert_eq!(names(&model), [("lab/model@v1", 0), ("lab/report@v1", 1)]);
    // As deep as asked for, with a mark where there is more.
    for (reference, direction) in [("lab/report", Direction::Ancestors), ("lab/raw", Direction::Descendants)] {
        let near = ask(&client, LineageQuery { depth: 1, ..query(reference, direction) }).unwrap();
        assert!(near.nodes.iter().all(|node| node.depth <= 1));
        let more: Vec<_> =
            near.nodes.iter().filter(|node| node.more).map(|node| node.version.as_deref().unwrap()).collect();
        let expected =
            if direction == Direction::Ancestors { vec!["lab/model@v1"] } else { vec!["lab/clean@v1", "lab/split@v1"] };
        assert_eq!(more.iter().collect::<BTreeSet<_>>(), expected.iter().collect(), "{near:?}");
    }
    // Pages are parts of the whole.
    for (reference, direction) in [("lab/report", Direction::Ancestors), ("lab/raw", Direction::Descendants)] {
        let whole = ask(&client, query(reference, direction)).unwrap();
        let (mut nodes, mut edges, mut after) = (Vec::new(), Vec::new(), 0);
        loop {
            let page = ask(&client, LineageQuery { limit: 2, after, ..query(reference, direction) }).unwrap();
            assert!(page.nodes.len() <= 2);
            nodes.extend(page.nodes);
            edges.extend(page.edges);
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!((nodes, edges), (whole.nodes, whole.edges));
    }
    let far = LineageQuery { after: 99_999, limit: 2, ..query("lab/raw", Direction::Descendants) };
    assert_eq!(code(ask(&client, far)), Code::BadRequest);
    let Answer::StateVerified(state) = client.call(Command::StateVerify).unwrap() else { panic!() };
    assert!(state.ok, "{state:?}");
}

#[test]
fn a_version_of_as_many_sources_as_there_may_be_is_one_entry() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for _ in 0..256 {
        made(&client, "lab/part", &[]);
    }
    let parts: Vec<String> = (1..=256).map(|n| format!("lab/part@v{n}")).collect();
    made(&client, "lab/whole", &parts.iter().map(String::as_str).collect::<Vec<_>>());
    let up = ask(&client, query("lab/whole", Direction::Ancestors)).unwrap();
    assert_eq!((up.nodes.len(), up.edges.len()), (257, 256));
    assert_eq!(names(&ask(&client, query("lab/part@v256", Direction::Descendants)).unwrap()).len(), 2);
}

/// A version of `lab` that was made from one of `yard`, and one of `yard` that was made from it.
fn across() -> World {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let both = principal("both", Class::Internal, &[("lab", "writer"), ("yard", "writer")]);
    owner.call(Command::PrincipalAdd(both)).unwrap();
    let both = Client::new(&keeper, &world, Some("both"));
    made(&both, "lab/base", &[]);
    made(&both, "yard/raw", &["lab/base"]);
    made(&both, "lab/mid", &["yard/raw"]);
    made(&both, "yard/end", &["lab/mid"]);
    drop((owner, both));
    keeper.close().unwrap();
    world
}

#[test]
fn what_may_not_be_seen_is_a_source_without_a_name_and_no_descendant() {
    let world = across();
    let keeper = world.open();
    let (rick, both) = (Client::new(&keeper, &world, Some("rick")), Client::new(&keeper, &world, Some("both")));
    let whole = ask(&both, query("lab/mid", Direction::Ancestors)).unwrap();
    assert_eq!(names(&whole), [("lab/mid@v1", 0), ("yard/raw@v1", 1), ("lab/base@v1", 2)]);
    let up = ask(&rick, query("lab/mid", Direction::Ancestors)).unwrap();
    // `show` names the same id; what is behind it is not told, although rick may see that.
    assert_eq!(names(&up), [("lab/mid@v1", 0), ("hidden", 1)]);
    let hidden = &up.nodes[1];
    assert_eq!(vec![hidden.id], rick.show("lab/mid").unwrap().from);
    assert!(hidden.kind.is_none() && hidden.class.is_none() && hidden.created.is_none() && !hidden.more);
    for depth in [1, 100] {
        let asked = LineageQuery { depth, ..query("lab/mid", Direction::Descendants) };
        let down = ask(&rick, asked).unwrap();
        assert_eq!(names(&down), [("lab/mid@v1", 0)], "depth {depth}");
        assert!(down.edges.is_empty() && down.next.is_none() && !down.nodes[0].more);
    }
    assert_eq!(names(&ask(&both, query("lab/mid", Direction::Descendants)).unwrap()).len(), 2);
    // Who sees neither place learns of nothing.
    let mallory = Client::new(&keeper, &world, Some("mallory"));
    for direction in [Direction::Ancestors, Direction::Descendants] {
        let refused = ask(&mallory, query("lab/mid", direction)).unwrap_err();
        let missing = ask(&mallory, query("lab/none", direction)).unwrap_err();
        assert_eq!((refused.code, refused.why.replace("mid", "none")), (Code::NotFound, missing.why));
    }
}

#[test]
fn an_edge_that_was_altered_planted_or_taken_away_is_found() {
    let up = query("lab/report", Direction::Ancestors);
    let down = query("lab/raw", Direction::Descendants);
    for (sql, which, refused) in [
        ("UPDATE edge SET mac = zeroblob(32)", &up, true),
        ("UPDATE edge SET mac = zeroblob(32)", &down, true),
        ("UPDATE edge SET made = (SELECT id FROM version ORDER BY id LIMIT 1)", &down, true),
        (
            "INSERT INTO edge (id, source, made, body, salt, ticket, mac) \
             SELECT randomblob(16), source, made, body, salt, ticket, mac FROM edge LIMIT 1",
            &down,
            true,
        ),
        // What a version says of itself wants its edge.
        ("DELETE FROM edge", &up, true),
        // Backwards it can be missed by the fold of the log only.
        ("DELETE FROM edge", &down, false),
    ] {
        let world = diamond();
        assert!(world.tamper(sql) > 0, "{sql}");
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        match ask(&client, (*which).clone()) {
            Err(problem) => assert!(refused && problem.code == Code::BadSignature, "{sql}: {problem:?}"),
            Ok(graph) => assert!(!refused, "{sql}: {graph:?}"),
        }
        let Answer::StateVerified(state) = client.call(Command::StateVerify).unwrap() else { panic!() };
        let columns_only = sql.starts_with("UPDATE");
        assert!(columns_only || state.failures.iter().any(|failure| failure.starts_with("edge ")), "{sql}: {state:?}");
    }
}
