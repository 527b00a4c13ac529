//! The data of the baseline agrees with the policies and with the design's table.

use crate::facts::*;
use api::terms::{Action, Class, Environment, Mode, RootKind};
use policy::{Held, ProdRoots, Resource, Role, Scope, Set, decide, default_class};

#[test]
fn the_class_table_is_the_designs() {
    let of = |class| baseline().class_rules(class);
    let column = |f: fn(&policy::ClassRules) -> u64| Class::ALL.iter().map(|c| f(of(*c))).collect::<Vec<_>>();
    const H: u64 = 3600;
    const D: u64 = 24 * H;
    assert_eq!(column(|r| r.lease_secs), [24 * H, 8 * H, H, H / 4]);
    assert_eq!(column(|r| r.longest_unattended_secs), [30 * D, 30 * D, 7 * D, 3 * D]);
    assert_eq!(column(|r| r.rotation_days.into()), [365, 180, 90, 30]);
    assert_eq!(column(|r| r.presence_secs.unwrap_or(0)), [0, 0, 12 * H, H]);
    assert_eq!(column(|r| r.export_presence_secs.unwrap_or(0)), [0, 0, 12 * H, H / 4]);
    assert_eq!(column(|r| r.destroy_wait_days.into()), [7, 7, 30, 30]);
    assert_eq!(column(|r| r.destroy_approvals.into()), [0, 0, 0, 2]);
    assert_eq!(column(|r| r.waits_for_anchor.into()), [0, 0, 0, 1]);
    let roots: Vec<ProdRoots> = Class::ALL.iter().map(|class| of(*class).prod_roots).collect();
    assert_eq!(roots, [ProdRoots::Any, ProdRoots::Any, ProdRoots::NotKeyFile, ProdRoots::HsmOrKmsWithEscrow]);
}

/// A vault tells older programs from newer ones by the edition: whoever changes a file of the baseline raises it.
#[test]
fn every_change_of_the_baseline_raises_its_edition() {
    let known = [(1, "7d9ec66d149a19cf34818a92516647a586b7d496a6c4458fc0fa312157107868")];
    let here = (policy::EDITION, Set::baseline_digest().to_string());
    let last = known.last().map(|(edition, digest)| (*edition, (*digest).to_owned()));
    assert_eq!(last, Some(here), "raise `policy::EDITION` and add its digest here");
    assert!(known.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 != pair[1].1));
}

#[test]
fn the_presence_that_policies_ask_for_is_the_tables() {
    let text: String = Set::baseline_sources().into_iter().map(|source| source.text).collect();
    let asked = |id: &str| {
        let (_, from) = text.split_once(&format!("@id(\"{id}\")")).unwrap();
        let (_, from) = from.split_once("duration(\"").unwrap();
        let (amount, _) = from.split_once('"').unwrap();
        let unit = if amount.ends_with('h') { 3600 } else { 60 };
        amount.trim_end_matches(['h', 'm']).parse::<u64>().unwrap() * unit
    };
    let of = |class| baseline().class_rules(class);
    assert_eq!(Some(asked("presence-confidential")), of(Class::Confidential).presence_secs);
    assert_eq!(Some(asked("presence-restricted")), of(Class::Restricted).presence_secs);
    assert_eq!(Some(asked("presence-restricted-export")), of(Class::Restricted).export_presence_secs);
}

/// Every set of roots, not only one with its escrow: a root that is admitted must not excuse one that is not.
#[test]
fn the_roots_that_policies_ask_for_in_prod_are_the_tables() {
    use RootKind::{Escrow, Hsm, Keyfile, Kms, Passphrase};
    let mut admitting = Vec::new();
    for class in Class::ALL {
        let mut place = artifact(*class);
        place.env = Environment::Prod;
        let mut sets = 0;
        for chosen in 0..1_u32 << RootKind::ALL.len() {
            let roots =
                RootKind::ALL.iter().enumerate().filter(|(at, _)| chosen & (1 << at) != 0).map(|(_, root)| *root);
            let roots: Vec<RootKind> = roots.collect();
            let holds = |any: &[RootKind]| roots.iter().any(|root| any.contains(root));
            let mut query = with(Action::Write, Resource::Artifact(place.clone()), &[Role::Writer], Mode::Solo);
            query.context.roots = roots.clone();
            let admitted = match baseline().class_rules(*class).prod_roots {
                ProdRoots::Any => true,
                ProdRoots::NotKeyFile => holds(&[Passphrase, Hsm, Kms]) && !holds(&[Keyfile]),
                ProdRoots::HsmOrKmsWithEscrow => {
                    holds(&[Hsm, Kms]) && holds(&[Escrow]) && !holds(&[Keyfile, Passphrase])
                }
            };
            let answer = decide(baseline(), &query);
            assert_eq!(answer.allowed, admitted, "{class} {roots:?}");
            assert_eq!(answer.advice == [policy::Advice::Root], !admitted, "{class} {roots:?}: {:?}", answer.advice);
            sets += u32::from(admitted);
        }
        admitting.push(sets);
    }
    assert_eq!(admitting, [32, 32, 14, 3]);
}

#[test]
fn duties_that_exclude_each_other_are_named_where_they_meet() {
    let conflicts = |held: &[Held]| baseline().conflicts(held).len();
    let lab = |role| Held::new(role, Scope::Workspace(LAB));
    let vault = |role| Held::new(role, Scope::Vault);
    assert_eq!(conflicts(&[lab(Role::Custodian), lab(Role::Steward)]), 1);
    assert_eq!(conflicts(&[vault(Role::Custodian), lab(Role::Reader)]), 1);
    assert_eq!(conflicts(&[lab(Role::Custodian), Held::new(Role::Reader, Scope::Workspace(OTHER))]), 0);
    assert_eq!(conflicts(&[lab(Role::Steward), lab(Role::Owner)]), 0);
    assert_eq!(conflicts(&[vault(Role::Owner), vault(Role::PolicyAuthor), vault(Role::Auditor)]), 3);
    assert_eq!(conflicts(&[]), 0);
}

#[test]
fn approval_rules_that_policies_name_exist_and_want_distinct_roles() {
    let rules = baseline().approval_rules();
    assert_eq!(rules.keys().collect::<Vec<_>>(), ["confidential-export", "restricted-export", "restricted-removal"]);
    let slots = &rules["restricted-export"].slots;
    assert!(slots.len() == 2 && slots[0] != slots[1]);
}

#[test]
fn the_default_class_is_the_workspaces_else_confidential() {
    assert_eq!(default_class(None), Class::Confidential);
    for class in Class::ALL {
        assert_eq!(default_class(Some(*class)), *class);
    }
}
