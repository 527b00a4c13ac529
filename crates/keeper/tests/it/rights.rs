//! What is explained is what is decided; an alias is refused before anything is uploaded; a change changes what it names.

use crate::decisions::{entries, principal, staff};
use crate::world::{Client, Put, World, code, name};
use api::terms::{Action, Class, Code, Environment, KeyId, Kind, Mode, ObjectId, PrincipalKind, Timestamp};
use api::wire::{
    Answer, AuditFilter, Command, Explain, GrantSpec, KeyRotate, NamedKeyMake, PolicyApply, PrincipalAdd,
    PrincipalItem, Problem, Refusal, Revocation,
};
use std::collections::BTreeMap;

fn staffed() -> World {
    staff(World::new(Mode::Rehearsal))
}

fn explain(client: &Client<'_>, ask: Explain) -> Result<Refusal, Problem> {
    match client.call(Command::Explain(ask))? {
        Answer::Explained(refusal) => Ok(*refusal),
        other => panic!("{other:?}"),
    }
}

/// What every principal may want of the vault, and what they would do then.
fn vault_wide(who: &str) -> [(Action, Option<&'static str>, Command); 8] {
    let of = |workspace: Option<&str>| KeyRotate { workspace: workspace.map(name), ..KeyRotate::default() };
    let another = principal(&format!("of-{who}"), Class::Public, &[]);
    [
        (Action::Audit, None, Command::Audit(AuditFilter { limit: 1, ..AuditFilter::default() })),
        (Action::ManagePolicy, None, Command::PolicyApply(PolicyApply { sources: BTreeMap::new(), base: None })),
        (Action::ManagePrincipals, None, Command::PrincipalAdd(another)),
        (Action::RotateKeys, None, Command::KeyRotate(of(None))),
        (Action::RotateKeys, Some("lab"), Command::KeyRotate(of(Some("lab")))),
        (Action::RotateKeys, Some("vault"), Command::ClockAccept),
        (Action::Collect, None, Command::CollectMark { grace_secs: 3600, dry: true }),
        (Action::List, None, Command::KeyList),
    ]
}

#[test]
fn explain_says_of_vault_wide_acts_what_the_real_answer_says() {
    let world = staffed();
    let keeper = world.open();
    let (owner, aud) = (Client::new(&keeper, &world, None), Client::new(&keeper, &world, Some("aud")));
    let count = || {
        let filter = AuditFilter { limit: 10_000, ..AuditFilter::default() };
        let Answer::Audit(page) = aud.call(Command::Audit(filter)).unwrap() else { panic!() };
        page.items.len()
    };
    let mut refused = 0;
    for who in ["olivia", "wanda", "alice", "mallory", "aud", "cus", "pol"] {
        for (action, about, real) in vault_wide(who) {
            let case = format!("{who} {action} {about:?}");
            let before = count();
            let ask =
                Explain { principal: Some(name(who)), reference: about.map(str::to_owned), ..Explain::of(action) };
            let told = explain(&owner, ask).unwrap();
            assert_eq!(count(), before, "explaining leaves no entry");
            match Client::new(&keeper, &world, Some(who)).call(real) {
                Ok(_) => assert!(told.allowed, "{case}"),
                Err(problem) if problem.code == Code::NotFound => assert_eq!(told.reasons, ["not found"], "{case}"),
                Err(problem) => {
                    let real = problem.refusal.unwrap_or_else(|| panic!("{case}: {}", problem.why));
                    assert_eq!(Refusal { decision: None, ..*real }, told, "{case}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn a_question_that_is_about_nothing_is_refused() {
    let world = staffed();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    for (action, about) in [
        (Action::Read, None),
        (Action::Write, Some("lab")),
        (Action::Read, Some("vault")),
        (Action::Audit, Some("lab/net")),
        (Action::Collect, Some("lab")),
        (Action::Backup, Some("lab")),
        (Action::RotateKeys, Some("lab/net")),
        (Action::ManageKeys, Some("lab/net")),
    ] {
        let ask = Explain { reference: about.map(str::to_owned), ..Explain::of(action) };
        assert_eq!(code(explain(&owner, ask)), Code::BadRequest, "{action} {about:?}");
    }
    // Nor is anything left out that was said and means nothing there.
    let of = |action, about: &str| Explain { reference: Some(about.to_owned()), ..Explain::of(action) };
    let said = |ask: Explain| {
        [
            Explain { class: Some(Class::Internal), ..ask.clone() },
            Explain { at_least: Some(Class::Internal), ..ask.clone() },
            Explain { environment: Some(Environment::Dev), ..ask.clone() },
            Explain { kind: Some(Kind::Dataset), ..ask.clone() },
            Explain { from: vec!["lab/net".into()], ..ask },
        ]
    };
    for ask in [of(Action::Read, "lab/net"), of(Action::Alias, "lab/net@v1"), Explain::of(Action::Audit)] {
        explain(&owner, ask.clone()).unwrap();
        for ask in said(ask) {
            let refused = explain(&owner, ask.clone()).unwrap_err();
            assert!(refused.code == Code::BadRequest && refused.why.contains("apply only to `write`"), "{refused:?}");
        }
    }
    for ask in said(of(Action::Write, "lab/new")) {
        explain(&owner, ask).unwrap();
    }
    for action in [Action::Write, Action::Alias] {
        let reason = Explain { reason: Some("because".into()), ..of(action, "lab/new") };
        assert_eq!(code(explain(&owner, reason)), Code::BadRequest, "{action}");
    }
    for wrong in ["lab/net@v1", "vault/net"] {
        assert_eq!(code(explain(&owner, of(Action::Write, wrong))), Code::BadRequest, "{wrong}");
    }
}

#[test]
fn explain_says_of_a_put_what_begin_says() {
    let world = staffed();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let mut cases = Vec::new();
    for who in ["wanda", "alice", "rick", "cus"] {
        for class in [None, Some(Class::Internal), Some(Class::Confidential), Some(Class::Restricted)] {
            for (reference, environment) in [("lab/net", Environment::Dev), ("lab/new", Environment::Prod)] {
                cases.push((who, reference, class, environment));
            }
        }
    }
    for (who, reference, class, environment) in cases {
        let case = format!("{who} {reference} {class:?} {environment}");
        let ask = Explain {
            principal: Some(name(who)),
            reference: Some(reference.into()),
            class,
            environment: Some(environment),
            kind: Some(Kind::Dataset),
            ..Explain::of(Action::Write)
        };
        let told = explain(&owner, ask);
        let real = Client::new(&keeper, &world, Some(who)).begin(&Put { class, environment, ..Put::new(reference) });
        match (real, told) {
            (Ok(_), Ok(told)) => assert!(told.allowed, "{case}: {told:?}"),
            (Err(real), Ok(told)) => match real.refusal {
                Some(refusal) => assert_eq!(Refusal { decision: None, ..*refusal }, told, "{case}"),
                None => assert_eq!((real.code, told.reasons.as_slice()), (Code::NotFound, &["not found".into()][..])),
            },
            // A class below the artifact's is a conflict either way.
            (Err(real), Err(told)) => assert_eq!((real.code, real.why), (told.code, told.why), "{case}"),
            (Ok(_), Err(told)) => panic!("{case}: {told:?}"),
        }
    }
}

#[test]
fn a_put_tells_nobody_without_rights_what_is_there() {
    let world = staffed();
    let keeper = world.open();
    let mallory = Client::new(&keeper, &world, Some("mallory"));
    let aud = Client::new(&keeper, &world, Some("aud"));
    // What is there is a confidential dataset. Neither its class nor its kind, nor that it is there, may be read off the answers.
    for class in [None, Some(Class::Public), Some(Class::Restricted)] {
        let before = entries(&aud, "version.begin").len();
        let answer = |reference: &str| {
            let problem = mallory.begin(&Put { class, ..Put::new(reference) }).unwrap_err();
            let ask = Explain { reference: Some(reference.into()), class, ..Explain::of(Action::Write) };
            let explained = format!("{:?}", mallory.call(Command::Explain(ask)).map_err(|e| e.why));
            let name = |text: &str| text.replace(reference, "REF");
            (problem.code, name(&problem.what), name(&problem.why), name(&explained))
        };
        let there = answer("lab/net");
        assert_eq!(there.0, Code::NotFound);
        assert_eq!(there, answer("lab/not"), "{class:?}");
        assert_eq!(entries(&aud, "version.begin").len(), before + 2, "each attempt is in the log");
    }
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    let told = wanda.begin(&Put::new("lab/net").class(Class::Public)).unwrap_err();
    assert!(told.code == Code::Conflict && told.why.contains("confidential"), "{told:?}");
}

/// A problem's code and words, with the name that was asked about left open.
fn words<T: std::fmt::Debug>(answer: Result<T, Problem>, named: &str) -> (Code, String, String, Option<String>) {
    let problem = answer.unwrap_err();
    assert!(problem.refusal.is_none(), "{problem:?}");
    let name = |text: &str| text.replace(named, "REF");
    (problem.code, name(&problem.what), name(&problem.why), problem.try_.as_deref().map(name))
}

#[test]
fn what_is_hidden_is_answered_in_the_words_of_what_is_missing() {
    let world = staffed();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    Client::new(&keeper, &world, Some("wanda")).put(&Put { alias: Some(name("live")), ..Put::new("lab/net") }).unwrap();
    let mallory = Client::new(&keeper, &world, Some("mallory"));
    let ask = |client: &Client<'_>, who: Option<&str>, action, about: &str| {
        let reference = Some(about.to_owned());
        explain(client, Explain { principal: who.map(name), reference, ..Explain::of(action) })
    };
    for (hidden, missing) in [
        ("lab", "lap"),
        ("lab/net", "lab/nit"),
        ("lab/net", "lap/net"),
        ("lab/net@v1", "lab/net@v9"),
        ("lab/net@live", "lab/net@dead"),
    ] {
        let actions = if hidden == "lab" { &[Action::List, Action::RotateKeys][..] } else { &PLACED };
        // A release neither, though what is inside a version is the client's alone to ask for.
        for inside in [hidden, missing]
            .iter()
            .filter(|reference| reference.contains('/'))
            .map(|reference| format!("{reference}/weights.bin"))
        {
            let told = mallory.release(Action::Read, &inside).unwrap_err();
            assert_eq!(told.code, Code::BadRequest, "{inside}: {told:?}");
        }
        // A put goes to an artifact, without version.
        for &action in actions.iter().filter(|action| **action != Action::Write || !hidden.contains('@')) {
            let case = format!("{action} {hidden} {missing}");
            let told = words(ask(&mallory, None, action, hidden), hidden);
            assert_eq!(told.0, Code::NotFound, "{case}");
            assert_eq!(told, words(ask(&mallory, None, action, missing), missing), "{case}");
            assert_eq!(told, words(ask(&mallory, Some("mallory"), action, hidden), hidden), "{case}");
            // Whoever may see it is told that she may not.
            assert_eq!(ask(&owner, Some("mallory"), action, hidden).unwrap().reasons, ["not found"], "{case}");
        }
        let rotate = |workspace: &str| KeyRotate { workspace: Some(name(workspace)), ..KeyRotate::default() };
        if hidden == "lab" {
            let real = |workspace: &str| mallory.call(Command::KeyRotate(rotate(workspace)));
            assert_eq!(words(real(hidden), hidden), words(real(missing), missing));
            continue;
        }
        assert_eq!(words(mallory.show(hidden), hidden), words(mallory.show(missing), missing), "{hidden}");
        let history = |reference: &str| {
            mallory.call(Command::History { reference: reference.to_owned(), before: None, limit: 1 })
        };
        assert_eq!(words(history(hidden), hidden), words(history(missing), missing), "{hidden}");
        for action in [Action::List, Action::Read, Action::Export] {
            let real = |reference: &str| mallory.release(action, reference).map(|(released, _)| released);
            assert_eq!(words(real(hidden), hidden), words(real(missing), missing), "{action} {hidden}");
        }
    }
}

/// What is asked of a version.
const PLACED: [Action; 5] = [Action::List, Action::Read, Action::Export, Action::Write, Action::Alias];

#[test]
fn others_are_asked_about_by_whoever_may_list_them() {
    let world = staffed();
    let keeper = world.open();
    let aud = Client::new(&keeper, &world, Some("aud"));
    let about = |who: &str| Explain {
        principal: Some(name(who)),
        reference: Some("lab/net".into()),
        ..Explain::of(Action::Read)
    };
    assert!(explain(&aud, about("rick")).unwrap().allowed);
    assert_eq!(code(explain(&aud, about("nobody"))), Code::NotFound);
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    assert!(explain(&wanda, about("wanda")).unwrap().allowed, "of oneself");
    let owner = Client::new(&keeper, &world, None);
    owner.call(Command::PrincipalAdd(principal("nemo", Class::Public, &[]))).unwrap();
    let nemo = Client::new(&keeper, &world, Some("nemo"));
    let before = entries(&aud, "policy.explain").len();
    let refused = |who: &str| words(nemo.call(Command::Explain(about(who))), who);
    assert_eq!(refused("rick"), refused("nobody"), "nor is it told who is there");
    assert_eq!(entries(&aud, "policy.explain").len(), before + 2);
    let add = |who: &str, change| {
        let add = PrincipalAdd { change, ..principal(who, Class::Public, &[]) };
        words(nemo.call(Command::PrincipalAdd(add)), who)
    };
    assert_eq!(add("rick", false), add("nobody", false));
    assert_eq!(add("rick", true), add("nobody", true));
}

#[test]
fn whose_rights_are_being_taken_away_does_not_end_that() {
    let world = staffed();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    owner.call(Command::PrincipalAdd(principal("xena", Class::Internal, &[("vault", "owner")]))).unwrap();
    let xena = Client::new(&keeper, &world, Some("xena"));
    let mine = || Command::PrincipalAdd(PrincipalAdd { change: true, ..principal("xena", Class::Restricted, &[]) });
    xena.call(mine()).unwrap();
    // What a command leaves that was killed between its announcement and its change.
    let announced = "INSERT INTO closing (subject, at) SELECT subject, 1 FROM epoch WHERE kind = 'principal' \
                     ORDER BY rowid DESC LIMIT 1";
    assert_eq!(world.tamper(announced), 1);
    xena.call(mine()).unwrap_err();
    assert_eq!(world.tamper("UPDATE closing SET at = 2"), 1, "it stands");
    owner.call(mine()).unwrap();
    assert_eq!(world.tamper("UPDATE closing SET at = 3"), 0, "the change ended it");
}

#[test]
fn a_refusal_of_many_long_policies_is_one_and_is_logged() {
    let world = staffed();
    let keeper = world.open();
    let (owner, pol, aud) = (
        Client::new(&keeper, &world, None),
        Client::new(&keeper, &world, Some("pol")),
        Client::new(&keeper, &world, Some("aud")),
    );
    let head = "@reason(\"none of those\") @owner(\"pol\") forbid (principal, action == Action::\"read\", resource is Artifact)";
    let long: Vec<String> = (0..60).map(|n| format!("\"{n:0>70}\"")).collect();
    let mut text = format!("@id(\"long\") {head} unless {{ [{}].contains(resource.owner) }};\n", long.join(", "));
    (0..300).for_each(|n| text.push_str(&format!("@id(\"f-{n}\") {head};\n")));
    let sources = [("own.cedar".to_owned(), text)].into();
    pol.call(Command::PolicyApply(PolicyApply { sources, base: None })).unwrap();
    drop(owner);
    let rick = Client::new(&keeper, &world, Some("rick"));
    let before = entries(&aud, "release.read").len();
    assert_eq!(rick.release(Action::Read, "lab/net").unwrap_err().code, Code::Denied);
    let logged = entries(&aud, "release.read");
    assert_eq!(logged.len(), before + 1);
    let decision = &logged.last().unwrap().entry["decision"];
    assert_eq!(decision["policies"].as_array().unwrap().len(), 256, "{decision}");
    let near = decision["near"].as_array().unwrap();
    assert!(!near.is_empty() && near.len() <= 32, "{near:?}");
}

#[test]
fn an_alias_without_the_right_is_refused_at_begin_and_again_at_commit() {
    let world = staffed();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    owner.call(Command::PrincipalAdd(principal("stew", Class::Confidential, &[("lab", "steward")]))).unwrap();
    let as_ = |who| Client::new(&keeper, &world, Some(who));
    let (aud, wanda, stew) = (as_("aud"), as_("wanda"), as_("stew"));
    let staged = || Put { environment: Environment::Staging, ..Put::new("lab/net") };
    // A writer moves aliases in dev only.
    let refused = wanda.begin_naming(&staged(), Some("live"), &[]).err().unwrap();
    assert_eq!(refused.code, Code::Denied);
    let ask = Explain {
        principal: Some(name("wanda")),
        reference: Some("lab/net".into()),
        class: Some(Class::Confidential),
        environment: Some(Environment::Staging),
        ..Explain::of(Action::Alias)
    };
    assert_eq!(Refusal { decision: None, ..*refused.refusal.unwrap() }, explain(&owner, ask).unwrap());
    assert_eq!(entries(&aud, "version.begin").last().unwrap().entry["kind"], "denial");
    let Answer::Status(status) = owner.call(Command::Status).unwrap() else { panic!() };
    assert_eq!(status.drafts, 0, "nothing was begun");
    // Nor away from where she may not.
    stew.begin_naming(&staged(), Some("live"), &[]).unwrap();
    stew.put(&Put { alias: Some(name("live")), ..staged() }).unwrap();
    assert_eq!(code(wanda.begin_naming(&Put::new("lab/net"), Some("live"), &[])), Code::Denied);
    wanda.begin_naming(&Put::new("lab/net"), Some("mine"), &[]).unwrap();
    // Whoever keeps it back until the commit is refused there.
    let put = Put { alias: Some(name("live")), ..staged() };
    let (begun, _) = wanda.begin(&put).unwrap();
    assert_eq!(code(wanda.commit(&put, &begun)), Code::Denied);
    assert_eq!(entries(&aud, "version.commit").last().unwrap().entry["kind"], "denial");
    for reserved in ["latest", "v1"] {
        assert_eq!(code(wanda.begin_naming(&Put::new("lab/net"), Some(reserved), &[])), Code::BadRequest);
    }
    assert_eq!(code(wanda.begin_naming(&Put::new("lab/net"), None, &["lab/ghost"])), Code::NotFound);
}

/// A change of rick that names nothing yet.
fn rick_as_he_is() -> PrincipalAdd {
    let rick = principal("rick", Class::Public, &[]);
    PrincipalAdd { kind: None, clearance: None, suspended: None, change: true, ..rick }
}

fn grant(workspace: &str, role: &str, until: Option<Timestamp>) -> GrantSpec {
    GrantSpec { workspace: name(workspace), role: role.into(), until }
}

fn revoke(workspace: &str, role: Option<&str>) -> Vec<Revocation> {
    vec![Revocation { workspace: name(workspace), role: role.map(str::to_owned) }]
}

/// `lab=reader`, with a colon if it ends.
fn held(item: &PrincipalItem) -> Vec<String> {
    let shown = |g: &GrantSpec| format!("{}={}{}", g.workspace, g.role, if g.until.is_some() { ":" } else { "" });
    item.grants.iter().map(shown).collect()
}

#[test]
fn a_change_changes_what_it_names_and_nothing_else() {
    let world = staffed();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let change = |add: PrincipalAdd| match owner.call(Command::PrincipalAdd(add)).unwrap() {
        Answer::Principal(item) => *item,
        other => panic!("{other:?}"),
    };
    let item = change(PrincipalAdd { grants: vec![grant("yard", "writer", None)], ..rick_as_he_is() });
    assert_eq!((item.clearance, item.suspended), (Class::Confidential, false));
    assert_eq!(held(&item), ["lab=reader", "yard=writer"]);
    let item = change(PrincipalAdd { clearance: Some(Class::Internal), ..rick_as_he_is() });
    assert_eq!((item.clearance, item.suspended, item.grants.len()), (Class::Internal, false, 2));
    let item = change(PrincipalAdd { suspended: Some(true), ..rick_as_he_is() });
    assert_eq!((item.clearance, item.suspended, item.grants.len()), (Class::Internal, true, 2));
    let item = change(PrincipalAdd { kind: Some(PrincipalKind::Service), ..rick_as_he_is() });
    assert_eq!((item.kind, item.suspended, item.grants.len()), (PrincipalKind::Service, true, 2));
    let item = change(PrincipalAdd { suspended: Some(false), ..rick_as_he_is() });
    assert_eq!((item.kind, item.suspended, item.grants.len()), (PrincipalKind::Service, false, 2));
    // A role that is held gets another end; it is not held twice.
    let until = Some(Timestamp::from_millis(world.clock.millis() + 1000));
    let grants = vec![grant("lab", "reader", until), grant("lab", "steward", None)];
    let item = change(PrincipalAdd { grants, ..rick_as_he_is() });
    assert_eq!(held(&item), ["lab=reader:", "lab=steward", "yard=writer"]);
    let item = change(PrincipalAdd { revoke: revoke("lab", Some("reader")), ..rick_as_he_is() });
    assert_eq!(held(&item), ["lab=steward", "yard=writer"]);
    let grants = vec![grant("lab", "reader", None)];
    let item = change(PrincipalAdd { revoke: revoke("lab", None), grants, ..rick_as_he_is() });
    assert_eq!(held(&item), ["lab=reader", "yard=writer"]);
    let aud = Client::new(&keeper, &world, Some("aud"));
    let Answer::StateVerified(state) = aud.call(Command::StateVerify).unwrap() else { panic!() };
    assert!(state.ok, "{state:?}");
}

#[test]
fn a_change_that_cannot_be_made_changes_nothing() {
    let world = staffed();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let refused = |add: PrincipalAdd| code(owner.call(Command::PrincipalAdd(add)));
    for slip in [revoke("lab", Some("writer")), revoke("nowhere", None), revoke("vault", None)] {
        assert_eq!(
            refused(PrincipalAdd { revoke: slip, ..rick_as_he_is() }),
            Code::NotFound,
            "a slip is no revocation"
        );
    }
    let misspelt = PrincipalAdd { revoke: revoke("lab", Some("raeder")), ..rick_as_he_is() };
    assert_eq!(refused(misspelt), Code::BadRequest);
    assert_eq!(refused(rick_as_he_is()), Code::BadRequest, "nothing is named");
    let new = PrincipalAdd { revoke: revoke("lab", None), ..principal("new", Class::Public, &[]) };
    assert_eq!(refused(new), Code::BadRequest);
    // What is kept counts when duties are told apart.
    let custodian = PrincipalAdd { grants: vec![grant("lab", "custodian", None)], ..rick_as_he_is() };
    assert_eq!(refused(custodian), Code::Conflict);
    let Answer::Principals { items } = owner.call(Command::PrincipalList).unwrap() else { panic!() };
    let rick = items.iter().find(|item| item.name == "rick").unwrap();
    assert_eq!((rick.clearance, rick.suspended, held(rick)), (Class::Confidential, false, vec!["lab=reader".into()]));
    Client::new(&keeper, &world, Some("rick")).release(Action::Read, "lab/net").unwrap();
}

#[test]
fn whoever_may_not_write_any_more_keeps_no_draft_alive() {
    let world = staffed();
    let keeper = world.open();
    let as_ = |who| Client::new(&keeper, &world, Some(who));
    let (owner, wanda, aud) = (Client::new(&keeper, &world, None), as_("wanda"), as_("aud"));
    let wanda_is = |suspended, grants: &[(&str, &str)], revoke| {
        let suspended = Some(suspended);
        let add = principal("wanda", Class::Confidential, grants);
        owner.call(Command::PrincipalAdd(PrincipalAdd { suspended, revoke, change: true, ..add })).unwrap();
    };
    let (left, kept) = (Put::new("lab/net"), Put::new("lab/net"));
    wanda.begin(&left).unwrap();
    wanda.begin(&kept).unwrap();
    let extend = |put: &Put| {
        let objects = vec![ObjectId::from_bytes(crate::world::random())];
        wanda.call(Command::Extend { version: put.version, objects })
    };
    let abandon = |put: &Put| wanda.call(Command::Abandon { version: put.version });
    let denials = |act: &str| entries(&aud, act).iter().filter(|item| item.entry["kind"] == "denial").count();
    extend(&left).unwrap();
    assert_eq!((denials("version.extend"), denials("version.abandon")), (0, 0));

    wanda_is(true, &[], Vec::new());
    let refused = |problem: Problem| matches!(problem.code, Code::Denied | Code::Gone | Code::NotFound);
    assert!(refused(extend(&left).unwrap_err()) && refused(abandon(&left).unwrap_err()));
    assert_eq!((denials("version.extend"), denials("version.abandon")), (1, 1), "in the log");
    // While it is being taken away it is not used either.
    wanda_is(false, &[], Vec::new());
    extend(&left).unwrap();
    let of_wanda = format!("x'{}'", wanda.session.principal());
    assert_eq!(world.tamper(&format!("INSERT INTO closing (subject, at) VALUES ({of_wanda}, 1)")), 1);
    assert_eq!((code(extend(&left)), code(abandon(&left))), (Code::Busy, Code::Busy));
    world.tamper("DELETE FROM closing");
    // An edited row is refused before it counts.
    let edit = |by| world.tamper(&format!("UPDATE principal SET ticket = ticket + {by} WHERE id = {of_wanda}"));
    edit(1);
    assert_eq!((code(extend(&left)), code(abandon(&left))), (Code::BadSignature, Code::BadSignature));
    edit(-1);

    // Without the role the draft is not kept alive, but what was begun may be given up.
    wanda_is(false, &[], revoke("lab", Some("writer")));
    assert!(refused(extend(&left).unwrap_err()));
    assert_eq!(denials("version.extend"), 2);
    abandon(&kept).unwrap();
    // So it ends with the lease that it had, and its objects with it.
    world.clock.advance(25 * 3_600_000);
    let Answer::Collect(plan) = as_("cus").call(Command::CollectMark { grace_secs: 0, dry: false }).unwrap() else {
        panic!()
    };
    assert!(left.objects.iter().all(|object| plan.objects.contains(object)), "{plan:?}");
}

#[test]
fn what_a_new_artifact_is_says_whoever_commits_first_and_nobody_who_only_began() {
    let world = staffed();
    let keeper = world.open();
    let as_ = |who| Client::new(&keeper, &world, Some(who));
    let owner = Client::new(&keeper, &world, None);
    owner.call(Command::PrincipalAdd(principal("will", Class::Confidential, &[("lab", "writer")]))).unwrap();
    let (wanda, will) = (as_("wanda"), as_("will"));
    let of = |kind| Put { kind, ..Put::new("lab/new") };
    let (model, open) = (of(Some(Kind::Model)), of(None));
    let (begun_model, _) = wanda.begin(&model).unwrap();
    let (begun_open, _) = wanda.begin(&open).unwrap();
    // Nor is anything decided by what was only begun: a model may not be written here, a dataset may.
    let no_models = "@id(\"no-models\") @reason(\"no models\") @owner(\"pol\") \
                     forbid (principal, action == Action::\"write\", resource is Artifact) when { resource.kind == \"model\" };";
    let sources = BTreeMap::from([("own.cedar".to_owned(), no_models.to_owned())]);
    as_("pol").call(Command::PolicyApply(PolicyApply { sources, base: None })).unwrap();
    let ask = |kind| Explain { reference: Some("lab/new".into()), kind, ..Explain::of(Action::Write) };
    assert!(explain(&will, ask(Some(Kind::Dataset))).unwrap().allowed);
    assert!(!explain(&will, ask(Some(Kind::Model))).unwrap().allowed);
    let data = of(Some(Kind::Dataset));
    let (begun, _) = will.begin(&data).unwrap();
    let extend = |client: &Client<'_>, put: &Put| {
        client
            .call(Command::Extend { version: put.version, objects: vec![ObjectId::from_bytes(crate::world::random())] })
    };
    extend(&will, &data).unwrap();
    assert_eq!(code(extend(&wanda, &model)), Code::Denied);
    assert_eq!(code(wanda.commit(&model, &begun_model)), Code::Denied);
    as_("pol").call(Command::PolicyApply(PolicyApply { sources: BTreeMap::new(), base: None })).unwrap();
    assert_eq!(will.commit(&data, &begun).unwrap().version.number, 1);

    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    let is = || -> (String, String) {
        let sql = "SELECT json_extract(CAST(body AS TEXT), '$.kind'), json_extract(CAST(body AS TEXT), '$.creator') \
                   FROM artifact WHERE name = 'new'";
        db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let dataset_of_will = ("dataset".to_owned(), will.session.principal().to_string());
    assert_eq!(is(), dataset_of_will);
    // What was begun as something else is refused and says so; what named no kind goes in as what the artifact is now.
    let refused = wanda.commit(&model, &begun_model).unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
    assert_eq!(refused.why, "the artifact's kind has become `dataset` since this version was begun");
    assert_eq!(wanda.commit(&open, &begun_open).unwrap().version.number, 2);
    assert_eq!(is(), dataset_of_will);
    let other = Put { kind: Some(Kind::Dataset), ..model.clone() };
    assert_eq!(code(wanda.begin(&other)), Code::Conflict, "a draft keeps its kind");
    let Answer::StateVerified(state) = as_("aud").call(Command::StateVerify).unwrap() else { panic!() };
    assert!(state.ok, "{state:?}");
}

#[test]
fn a_writer_who_may_not_read_the_version_before_is_given_nothing_of_it() {
    let world = staffed();
    let keeper = world.open();
    let as_ = |who| Client::new(&keeper, &world, Some(who));
    let (wanda, aud) = (as_("wanda"), as_("aud"));
    let first = Put::new("lab/net");
    let (begun, _) = wanda.begin(&first).unwrap();
    let record = first.record(&keeper, &begun);
    let before = wanda.commit_record(&first, record.encode().unwrap()).unwrap().version.id;
    let next = || Put { previous: Some(before), ..Put::new("lab/net") };
    let given = |put: &Put| {
        let (begun, opened) = wanda.begin(put).unwrap();
        let keys = |of: api::terms::VersionId| opened.keys.iter().filter(|key| key.version == *of.as_bytes()).count();
        assert_eq!(keys(put.version), 2);
        (begun.previous.is_some(), keys(before), opened.release.versions.len())
    };
    assert_eq!(given(&next()), (true, 2, 2), "who may read it is given its keys");
    let sealed = "@id(\"sealed\") @reason(\"nobody reads\") @owner(\"pol\") \
                  forbid (principal, action == Action::\"read\", resource is Artifact);";
    let sources = BTreeMap::from([("own.cedar".to_owned(), sealed.to_owned())]);
    as_("pol").call(Command::PolicyApply(PolicyApply { sources, base: None })).unwrap();
    let put = next();
    assert_eq!(given(&put), (false, 0, 1));
    let denied = entries(&aud, "release.read").pop().unwrap().entry;
    assert_eq!(
        (denied["kind"].as_str(), denied["subject"]["version"].as_str()),
        (Some("denial"), Some(before.to_string().as_str()))
    );
    assert_eq!(denied["detail"]["for"], put.version.to_string());
    assert_eq!(given(&put), (false, 0, 1), "nor when it is taken up again");
    // Whose client names its packs all the same is refused, and that is in the log.
    let (begun, _) = wanda.begin(&put).unwrap();
    let borrowing = Put { packs: record.packs, ..put.clone() };
    assert_eq!(code(wanda.commit(&borrowing, &begun)), Code::Denied);
    assert_eq!(entries(&aud, "version.commit").pop().unwrap().entry["kind"], "denial");
    wanda.commit(&put, &begun).unwrap();
}

#[test]
fn a_key_is_rotated_by_its_id_by_whoever_may_where_it_belongs() {
    let world = staffed();
    let keeper = world.open();
    let [wanda, mallory, cus] = ["wanda", "mallory", "cus"].map(|who| Client::new(&keeper, &world, Some(who)));
    wanda.put(&Put::new("lab/net")).unwrap();
    let make =
        NamedKeyMake { workspace: name("lab"), name: name("config"), environment: Environment::Dev, class: None };
    cus.call(Command::NamedKeyMake(make)).unwrap();
    let Answer::Keys(list) = cus.call(Command::KeyList).unwrap() else { panic!() };
    let id = |purpose: &str| list.keys.iter().find(|key| key.purpose == purpose).unwrap().id;
    let rotate = |client: &Client<'_>, key: KeyId| {
        let answer = client.call(Command::KeyRotate(KeyRotate { key: Some(key), ..KeyRotate::default() }));
        answer.map(|answer| match answer {
            Answer::Rotated(done) => (done.already, done.keys.len()),
            other => panic!("{other:?}"),
        })
    };
    let (own, missing) = (id("row-mac"), KeyId::from_bytes([7; 16]));
    let refused = |when: &str| {
        for key in [id("domain"), id("named")] {
            let hidden = words(rotate(&mallory, key), &key.to_string());
            assert_eq!(hidden.0, Code::NotFound, "{when}");
            assert_eq!(hidden, words(rotate(&mallory, missing), &missing.to_string()), "{when}");
            // Who sees the place is told that it is not for a writer.
            assert_eq!(code(rotate(&wanda, key)), Code::Denied, "{when}");
        }
        assert_eq!(code(rotate(&wanda, missing)), Code::NotFound, "{when}");
        assert_eq!(code(rotate(&wanda, own)), Code::Denied, "{when}");
    };
    refused("before");
    // With the named key that lies under it, which then is an earlier one as well.
    assert_eq!(rotate(&cus, id("domain")).unwrap(), (false, 2));
    assert_eq!(rotate(&cus, id("domain")).unwrap(), (true, 1));
    assert_eq!(rotate(&cus, id("named")).unwrap(), (true, 1));
    assert_eq!(code(rotate(&cus, own)), Code::Conflict);
    refused("after");
    let both = KeyRotate { key: Some(id("domain")), workspace: Some(name("lab")), ..KeyRotate::default() };
    assert_eq!(code(cus.call(Command::KeyRotate(both))), Code::BadRequest);
}
