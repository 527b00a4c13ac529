//! Vaults whose policies hold another baseline than this program's.

use crate::datastore::Transaction;
use crate::engine::{Engine, in_force};
use crate::keeper::Keeper;
use crate::kept;
use crate::rows::PolicySet;
use crate::system::{Clock, SystemClock};
use crate::vault::{self, ClockCheck, InitOptions, OpenOptions, RootChoice, RootUnlock, open};
use api::terms::{Class, Code, Mode, Name, PrincipalKind, Timestamp};
use api::wire::{
    Answer, AuditFilter, AuditItem, AuditPage, BaselineApply, Command, GrantSpec, ListQuery, PolicyApply, PrincipalAdd,
    Problem,
};
use policy::{Pins, Set, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A vault in a folder.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(mode: Mode) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        let (vault, owner) = (vault::draw_id().unwrap(), name("olivia"));
        let root = RootChoice::Keyfile { path: place.at("key") };
        let init = InitOptions {
            dir: place.at("vault"),
            vault,
            mode,
            root,
            anchor: place.at("anchor"),
            owner,
            crypto: None,
            recovery: None,
        };
        vault::init(&init).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn options(&self) -> OpenOptions {
        OpenOptions::new(self.at("vault"), RootUnlock::Keyfile(self.at("key")), self.at("anchor"))
    }

    fn keeper(&self) -> Keeper {
        Keeper::open(&self.options()).unwrap()
    }

    /// Changes the row of the set in force as the keeper of another program does, its MAC right.
    fn change(&self, change: impl Fn(&mut dyn Transaction, &mut PolicySet)) {
        changed(&open::open(&self.options()).unwrap(), change);
    }

    /// Puts an older baseline in force, which has no guardrail on roots, and names an attribute, an action and a rule that are gone.
    fn age(&self) -> Set {
        let mut sources = Set::baseline_sources();
        sources.retain(|source| !source.name.ends_with("roots.cedar"));
        let gone = "@id(\"gone-attribute\") @approval(\"gone-rule\") \
                    forbid (principal, action == Action::\"read\", resource is Artifact) when { context.gone };\n\
                    @id(\"gone-action\") permit (principal, action == Action::\"go\", resource);";
        sources.push(Source { name: "baseline/gone.cedar".into(), text: gone.into() });
        assert!(Set::load_with(&sources, Pins::Waived).is_err(), "not valid under this program's schema");
        let set = Set::load_kept(&sources).unwrap();
        self.change(|tx, row| {
            kept::keep_set(tx, set.hash(), &sources).unwrap();
            (row.hash, row.baseline, row.edition) = (set.hash().to_string(), "0".repeat(64), policy::EDITION - 1);
        });
        set
    }
}

fn changed(engine: &Engine, change: impl Fn(&mut dyn Transaction, &mut PolicySet)) {
    let write = |tx: &mut dyn Transaction| {
        let mut row = in_force(&engine.keys, tx)?;
        change(tx, &mut row);
        let ticket = tx.ticket()?;
        engine.keys.guard.update(tx, &row, ticket).map(drop)
    };
    engine.store.write(write).unwrap();
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn say(keeper: &Keeper, who: Option<&str>, command: Command) -> Result<Answer, Problem> {
    let who = who.map(name);
    keeper.call(&keeper.session(who.as_ref(), [0; 32]).unwrap(), command)
}

fn refused(keeper: &Keeper, who: Option<&str>, command: Command) -> Problem {
    let said = format!("{command:?}");
    match say(keeper, who, command) {
        Err(problem) => problem,
        Ok(answer) => panic!("{said}: {answer:?}"),
    }
}

fn moved(keeper: &Keeper, who: Option<&str>) -> Result<Answer, Problem> {
    say(keeper, who, Command::BaselineApply(BaselineApply::default()))
}

fn listed() -> Command {
    Command::List(ListQuery { workspace: None, after: None, limit: 10 })
}

fn applied(text: &str) -> Command {
    let sources = BTreeMap::from([("own.cedar".to_owned(), text.to_owned())]);
    Command::PolicyApply(PolicyApply { sources, base: None })
}

fn principal(who: &str, role: &str) -> Command {
    Command::PrincipalAdd(PrincipalAdd {
        name: name(who),
        kind: Some(PrincipalKind::User),
        clearance: Some(Class::Public),
        grants: vec![GrantSpec { workspace: name("vault"), role: role.into(), until: None }],
        revoke: Vec::new(),
        suspended: None,
        change: false,
    })
}

fn last_entry(keeper: &Keeper, who: Option<&str>) -> AuditItem {
    let filter = AuditFilter { newest_first: true, limit: 1, ..AuditFilter::default() };
    let Ok(Answer::Audit(AuditPage { mut items, .. })) = say(keeper, who, Command::Audit(filter)) else { panic!() };
    items.remove(0)
}

#[test]
fn a_vault_with_an_older_baseline_is_moved_by_an_act_in_its_log() {
    let place = Place::new(Mode::Solo);
    let old = place.age();
    let keeper = place.keeper();
    let tries = Some("strongroom policy apply --baseline");
    let commands = [
        listed(),
        applied(""),
        Command::KeyRotate(Default::default()),
        Command::Audit(AuditFilter { limit: 1, ..AuditFilter::default() }),
        principal("rick", "auditor"),
        Command::StateVerify,
        Command::CollectMark { grace_secs: 0, dry: false },
    ];
    for command in commands {
        let problem = refused(&keeper, None, command.clone());
        assert_eq!((problem.code, problem.try_.as_deref()), (Code::Conflict, tries), "{command:?}: {problem:?}");
    }
    let Ok(Answer::Policy(shown)) = say(&keeper, None, Command::PolicyShow) else { panic!() };
    assert_eq!(shown.hash, old.hash().to_string());
    assert!(shown.sources.contains_key("baseline/guardrails/artifact.cedar"));
    assert!(!shown.sources.contains_key("baseline/guardrails/roots.cedar"), "what is in force is shown");
    let Ok(Answer::PolicyApplied(applied)) = moved(&keeper, None) else { panic!() };
    assert_eq!(applied.hash, Set::baseline().unwrap().hash().to_string());
    let entry = last_entry(&keeper, None).entry;
    let (subject, ours) = (&entry["subject"], Set::baseline_digest().to_string());
    assert_eq!(entry["act"], "policy.baseline");
    assert_eq!((&subject["baseline.before"], &subject["baseline.after"]), (&"0".repeat(64).into(), &ours.into()));
    assert_eq!((&subject["before"], &subject["after"]), (&old.hash().to_string().into(), &applied.hash.into()));
    assert_eq!(entry["decision"]["policy_set"], old.hash().to_string(), "the older policies decided");
    assert_eq!(entry["detail"]["edition"], format!("{} to {}", policy::EDITION - 1, policy::EDITION));
    say(&keeper, None, listed()).unwrap();
    let Ok(Answer::StateVerified(state)) = say(&keeper, None, Command::StateVerify) else { panic!() };
    assert!(state.ok, "{state:?}");
    let Ok(Answer::DecisionsReplayed(replayed)) = say(&keeper, None, Command::DecisionsReplay) else { panic!() };
    assert!(replayed.ok && replayed.same > 0, "{replayed:?}");
    assert_eq!(moved(&keeper, None).map(drop).unwrap_err().code, Code::Conflict);
    keeper.close().unwrap();
    say(&place.keeper(), None, listed()).unwrap();
}

#[test]
fn the_move_is_decided_by_the_policies_in_force() {
    let place = Place::new(Mode::Rehearsal);
    let keeper = place.keeper();
    for (who, role) in [("pol", "policy-author"), ("aud", "auditor")] {
        say(&keeper, None, principal(who, role)).unwrap();
    }
    let own =
        "@id(\"own\") forbid (principal, action == Action::\"read\", resource is Artifact) when { context.task };";
    say(&keeper, Some("pol"), applied(own)).unwrap();
    keeper.close().unwrap();
    place.change(|_, row| (row.baseline, row.edition) = ("0".repeat(64), policy::EDITION - 1));
    let keeper = place.keeper();
    for who in [None, Some("aud")] {
        let problem = moved(&keeper, who).map(drop).unwrap_err();
        assert_eq!(problem.code, Code::Denied, "{problem:?}");
    }
    assert_eq!(refused(&keeper, Some("pol"), listed()).code, Code::Conflict, "nothing was moved");
    let other = BaselineApply { base: Some("0".repeat(64)), ..BaselineApply::default() };
    assert_eq!(refused(&keeper, Some("pol"), Command::BaselineApply(other)).code, Code::Conflict);
    let unsound = BTreeMap::from([("own.cedar".to_owned(), own.replace("task", "nonsense"))]);
    let unsound = BaselineApply { sources: Some(unsound), base: None };
    assert_eq!(refused(&keeper, Some("pol"), Command::BaselineApply(unsound)).code, Code::BadRequest);
    moved(&keeper, Some("pol")).unwrap();
    let Ok(Answer::Policy(shown)) = say(&keeper, Some("pol"), Command::PolicyShow) else { panic!() };
    assert_eq!(shown.sources["own.cedar"], own, "the organisation's own stay");
    let denials = AuditFilter { act: Some("policy.baseline".into()), limit: 10, ..AuditFilter::default() };
    let Ok(Answer::Audit(page)) = say(&keeper, Some("aud"), Command::Audit(denials)) else { panic!() };
    let told: Vec<(Option<&str>, &str)> = page
        .items
        .iter()
        .map(|item| (item.principal.as_deref(), item.entry["decision"]["effect"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [(Some("olivia"), "deny"), (Some("aud"), "deny"), (Some("pol"), "allow")]);
}

#[test]
fn a_vault_with_a_newer_baseline_is_refused() {
    let place = Place::new(Mode::Solo);
    let running = place.keeper();
    let newer = |_: &mut dyn Transaction, row: &mut PolicySet| {
        (row.baseline, row.edition) = ("f".repeat(64), policy::EDITION + 1);
    };
    place.change(newer);
    let at_opening = Keeper::open(&place.options()).map(drop).unwrap_err();
    let under_way = refused(&running, None, Command::KeyRotate(Default::default()));
    let moving = moved(&running, None).map(drop).unwrap_err();
    for problem in [at_opening, under_way, moving] {
        assert_eq!(problem.code, Code::Unsupported, "{problem:?}");
        assert!(problem.what.contains("newer than this program") && problem.try_.is_some(), "{problem:?}");
    }
}

/// A year ahead of the system's.
#[derive(Debug)]
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_millis(365 * 86_400_000)
    }
}

#[test]
fn a_vault_that_rested_through_an_upgrade_has_its_clock_accepted_and_is_moved() {
    let place = Place::new(Mode::Solo);
    place.age();
    let options = OpenOptions { clock: Arc::new(Ahead), clock_check: ClockCheck::AtCommands, ..place.options() };
    let keeper = Keeper::open(&options).unwrap();
    assert_eq!(moved(&keeper, None).map(drop).unwrap_err().code, Code::ClockAhead);
    say(&keeper, None, Command::ClockAccept).unwrap();
    moved(&keeper, None).unwrap();
    say(&keeper, None, listed()).unwrap();
}

#[test]
fn an_older_baseline_is_the_one_that_was_applied_or_none() {
    for sql in [
        "DELETE FROM cas WHERE ticket = 0",
        "UPDATE cas SET bytes = CAST(replace(CAST(bytes AS TEXT), 'forbid', 'permit') AS BLOB) WHERE ticket = 0",
    ] {
        let place = Place::new(Mode::Solo);
        place.age();
        assert!(tamper(&place.at("vault"), sql) > 0);
        let problem = Keeper::open(&place.options()).map(drop).unwrap_err();
        assert_eq!(problem.code, Code::BadSignature, "{sql}: {problem:?}");
    }
}

fn tamper(vault: &Path, sql: &str) -> usize {
    rusqlite::Connection::open(vault.join("keeper.db")).unwrap().execute(sql, []).unwrap()
}

#[test]
fn a_guardrail_less_set_of_todays_baseline_is_no_set() {
    // Waived guardrails are for sets of another baseline alone.
    let place = Place::new(Mode::Solo);
    let bare = [Source { name: "own.cedar".into(), text: "@id(\"x\") permit (principal, action, resource);".into() }];
    let set = Set::load_with(&bare, Pins::Waived).unwrap();
    place.change(|tx, row| {
        kept::keep_set(tx, set.hash(), &bare).unwrap();
        row.hash = set.hash().to_string();
    });
    assert_eq!(Keeper::open(&place.options()).map(drop).unwrap_err().code, Code::BadSignature);
}
