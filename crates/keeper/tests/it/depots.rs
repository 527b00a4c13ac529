//! Which depots a vault has is in its log; what they hold is told, and decides nothing.

use crate::decisions::principal;
use crate::world::{Client, Put, World, code};
use api::terms::{Class, Code, DepotId, DepotKind, Mode, ObjectId};
use api::wire::{
    Answer, Command, DepotAdd, DepotCompared, DepotCopied, DepotCounted, DepotItem, DepotList, DepotMoved, DepotRemove,
    DepotSeen, Problem, StateVerified,
};

fn list(client: &Client<'_>) -> DepotList {
    match client.call(Command::Depots).unwrap() {
        Answer::Depots(list) => list,
        other => panic!("{other:?}"),
    }
}

fn moved(answer: Result<Answer, Problem>) -> DepotItem {
    match answer.unwrap() {
        Answer::DepotMoved(moved) => {
            let DepotMoved { depot, .. } = *moved;
            depot
        }
        other => panic!("{other:?}"),
    }
}

fn folder(place: &str) -> DepotAdd {
    DepotAdd {
        kind: DepotKind::Folder,
        place: place.to_owned(),
        endpoint: None,
        region: None,
        credentials: None,
        first: false,
    }
}

fn due(client: &Client<'_>) -> bool {
    match client.call(Command::Jobs).unwrap() {
        Answer::Jobs(list) => list.items.iter().any(|job| job.name == "copy" && job.overdue),
        other => panic!("{other:?}"),
    }
}

#[test]
fn depots_come_and_go_by_acts_and_what_they_lack_is_counted() {
    for world in World::both(Mode::Solo) {
        come_and_go(&world);
    }
}

fn come_and_go(world: &World) {
    let keeper = world.open();
    let client = Client::new(&keeper, world, None);
    let [own] = &list(&client).items[..] else { panic!() };
    assert!((own.place.as_str(), own.primary, own.backlog) == ("depot", true, 0) && own.created.is_none());
    client.put(&Put { depot: Some(own.id), ..Put::new("lab/net") }).unwrap();
    assert!(!due(&client), "with one depot nothing is copied");

    let copy = moved(client.call(Command::DepotAdd(folder("/mnt/copy"))));
    assert_eq!((copy.primary, copy.backlog), (false, 2));
    assert!(due(&client));
    assert_eq!(code(client.call(Command::DepotAdd(folder("/mnt/copy")))), Code::Conflict);
    for bad in ["", "relative", "/with\0nul"] {
        assert_eq!(code(client.call(Command::DepotAdd(folder(bad)))), Code::BadRequest, "{bad}");
    }
    world.clock.advance(1);
    told(&client, copy.id, &compare(&client), 2);
    assert!(!due(&client), "it holds everything");
    client.put(&Put { depot: Some(own.id), ..Put::new("lab/net") }).unwrap();
    let lacking = &list(&client).items[1];
    assert_eq!((lacking.backlog, lacking.seen.held), (2, 2), "but not what was put since");
    let checked = DepotSeen { checked: Some(list(&client).now), damaged: 1, ..DepotSeen::default() };
    client.call(Command::DepotCounted(DepotCounted { depot: copy.id, seen: checked, mark: None })).unwrap();
    let told = &list(&client).items[1].seen;
    assert_eq!((told.held, told.damaged), (2, 1), "what is left out stays as it was told");

    // The primary goes only if nothing was put since it was looked for what it alone holds.
    let early = list(&client).now;
    client.put(&Put { depot: Some(own.id), ..Put::new("lab/net") }).unwrap();
    let gone = |checked| client.call(Command::DepotRemove(DepotRemove { depot: own.id, checked }));
    assert_eq!(code(gone(early)), Code::Conflict);
    world.clock.advance(1);
    moved(gone(list(&client).now));
    let [only] = &list(&client).items[..] else { panic!() };
    assert!(only.id == copy.id && only.primary);
    // What was uploaded to the one that is gone is no version.
    assert_eq!(code(client.put(&Put { depot: Some(own.id), ..Put::new("lab/net") })), Code::Conflict);
    client.put(&Put { depot: Some(copy.id), ..Put::new("lab/net") }).unwrap();
    let last = DepotRemove { depot: copy.id, checked: list(&client).now };
    assert_eq!(code(client.call(Command::DepotRemove(last))), Code::Conflict, "the last one stays");
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(StateVerified { ok, .. }) => assert!(ok),
        other => panic!("{other:?}"),
    }
}

fn compare(client: &Client<'_>) -> DepotCompared {
    match client.call(Command::DepotCompare).unwrap() {
        Answer::DepotCompared(begun) => begun,
        other => panic!("{other:?}"),
    }
}

fn told(client: &Client<'_>, depot: DepotId, begun: &DepotCompared, held: u64) {
    let seen = DepotSeen { compared: Some(begun.now), held, ..DepotSeen::default() };
    client.call(Command::DepotCounted(DepotCounted { depot, seen, mark: Some(begun.mark) })).unwrap();
}

#[test]
fn what_waits_to_be_copied_is_known_by_version_whatever_the_clock_says() {
    for world in World::both(Mode::Rehearsal) {
        waits_by_version(&world);
    }
}

fn waits_by_version(world: &World) {
    let keeper = world.open();
    let owner = Client::new(&keeper, world, None);
    for who in ["wanda", "william"] {
        owner.call(Command::PrincipalAdd(principal(who, Class::Confidential, &[("lab", "writer")]))).unwrap();
    }
    owner.call(Command::PrincipalAdd(principal("cus", Class::Internal, &[("vault", "custodian")]))).unwrap();
    let (cus, wanda) = (Client::new(&keeper, world, Some("cus")), Client::new(&keeper, world, Some("wanda")));
    let william = Client::new(&keeper, world, Some("william"));
    let own = list(&owner).items[0].id;
    let copy = moved(cus.call(Command::DepotAdd(folder("/mnt/copy")))).id;
    let backlog = || list(&cus).items[1].backlog;
    assert_eq!(list(&cus).items[1].seen.compared.map(|_| ()), Some(()), "an empty vault is copied already");
    let put = || wanda.put(&Put { depot: Some(own), ..Put::new("lab/net") }).unwrap().version.object;

    // What was put after a comparison began is not of it, at the same time too.
    let (first, begun) = (put(), compare(&cus));
    let second = put();
    assert_eq!(backlog(), 4);
    told(&cus, copy, &begun, 2);
    assert_eq!(backlog(), 2);
    // Whoever made a version says that it was copied, or who may collect; nobody else.
    let copied = |object| Command::DepotCopied(DepotCopied { depot: copy, object });
    assert_eq!(code(william.call(copied(second))), Code::Denied);
    assert_eq!(backlog(), 2);
    wanda.call(copied(second)).unwrap();
    let item = list(&cus).items[1].clone();
    assert_eq!((item.backlog, item.seen.held), (0, 4));
    assert!(!due(&owner));
    // Told twice, or of a version that does not wait, it changes nothing.
    wanda.call(copied(second)).unwrap();
    wanda.call(copied(first)).unwrap();
    wanda.call(copied(ObjectId::from_bytes([9; 16]))).unwrap();
    assert_eq!(list(&cus).items[1].seen.held, 4);

    // Of two comparisons at once, the later one has what both looked at: if it never ends, that waits on.
    put();
    let (early, late) = (compare(&cus), compare(&cus));
    told(&cus, copy, &early, 6);
    assert_eq!(backlog(), 2);
    put();
    told(&cus, copy, &late, 6);
    assert_eq!(backlog(), 2);
    // Another depot lacks everything, the primary nothing.
    let other = moved(cus.call(Command::DepotAdd(DepotAdd { first: true, ..folder("/mnt/first") })));
    assert!(other.primary && other.backlog == 0);
    let checked = list(&cus).now;
    world.clock.advance(1);
    cus.call(Command::DepotRemove(DepotRemove { depot: copy, checked })).unwrap_err();
    let checked = list(&cus).now;
    cus.call(Command::DepotRemove(DepotRemove { depot: copy, checked })).unwrap();
    let back = moved(cus.call(Command::DepotAdd(folder("/mnt/copy"))));
    assert!(back.id != copy && back.backlog == 8);
}

#[test]
fn depots_are_administration() {
    let world = World::new(Mode::Rehearsal);
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    owner.call(Command::PrincipalAdd(principal("rick", Class::Internal, &[("lab", "reader")]))).unwrap();
    owner.call(Command::PrincipalAdd(principal("cus", Class::Internal, &[("vault", "custodian")]))).unwrap();
    assert_eq!(code(owner.call(Command::DepotAdd(folder("/mnt/copy")))), Code::Denied);
    let cus = Client::new(&keeper, &world, Some("cus"));
    let rick = Client::new(&keeper, &world, Some("rick"));
    assert_eq!(list(&rick).items.len(), 1, "whoever reads is told where");
    assert_eq!(code(rick.call(Command::DepotAdd(folder("/mnt/copy")))), Code::Denied);
    let own = list(&owner).items[0].id;
    let seen = DepotSeen { compared: Some(list(&owner).now), ..DepotSeen::default() };
    assert_eq!(code(rick.call(Command::DepotCounted(DepotCounted { depot: own, seen, mark: None }))), Code::Denied);
    assert_eq!(code(rick.call(Command::DepotCompare)), Code::Denied);
    moved(cus.call(Command::DepotAdd(DepotAdd { first: true, ..folder("/mnt/first") })));
    assert_eq!(list(&owner).items[0].place, "/mnt/first");
}
