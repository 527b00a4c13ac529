use super::*;
use crate::rows::Hold;
use api::terms::{Class, Kind, PrincipalId, Suite, VersionId, WorkspaceId};
use proptest::prelude::*;
use std::collections::BTreeMap;

const DAY: u64 = AGAIN_MILLIS;

fn artifact(keep_days: Option<u64>, keep_last: Option<u32>) -> Artifact {
    let retention =
        Retention { keep_secs: keep_days.map(|days| days * DAY_SECS), keep_last, class: Class::Internal, due: None };
    Artifact {
        id: ArtifactId::from_bytes([1; 16]),
        workspace: WorkspaceId::from_bytes([2; 16]),
        name: "net".parse().unwrap(),
        kind: Kind::Model,
        class: Class::Internal,
        created: Timestamp::from_millis(0),
        creator: PrincipalId::from_bytes([3; 16]),
        latest: 9,
        current: 9,
        retention: Some(retention),
        holds: BTreeMap::new(),
    }
}

fn version(number: u8, day: u64) -> Version {
    Version {
        id: VersionId::from_bytes([number; 16]),
        artifact: ArtifactId::from_bytes([1; 16]),
        workspace: WorkspaceId::from_bytes([2; 16]),
        number: number.into(),
        class: Class::Internal,
        environment: Environment::Dev,
        suite: Suite::Default,
        key: api::terms::KeyId::from_bytes([number; 16]),
        key_state: api::terms::KeyState::Active,
        digest: String::new(),
        object: api::terms::ObjectId::from_bytes([number; 16]),
        plaintext: String::new(),
        bytes: 0,
        files: 0,
        created: Timestamp::from_millis(day * DAY),
        creator: PrincipalId::from_bytes([3; 16]),
        tags: BTreeMap::new(),
        from: Vec::new(),
        made: None,
        removed: None,
        reencrypted: None,
        archived: None,
    }
}

#[test]
fn either_bound_keeps_and_what_neither_keeps_goes() {
    let now = Timestamp::from_millis(100 * DAY);
    let told = |artifact: &Artifact, day, rank, aliased| fate(artifact, &version(1, day), rank, aliased, now).keeping;
    let both = artifact(Some(30), Some(2));
    assert_eq!(told(&both, 10, 1, false), Keeping::Last);
    assert_eq!(told(&both, 71, 2, false), Keeping::Young);
    assert_eq!(told(&both, 70, 2, false), Keeping::Due, "thirty days are over");
    assert_eq!(told(&both, 70, 2, true), Keeping::Aliased);
    assert_eq!(told(&artifact(None, Some(2)), 99, 2, false), Keeping::Due, "only the number counts");
    assert_eq!(told(&artifact(Some(30), None), 10, 0, false), Keeping::Due, "only the age counts");
    assert_eq!(told(&Artifact { retention: None, ..artifact(None, None) }, 0, 50, false), Keeping::NoRule);
    for of in [None, Some(VersionId::from_bytes([1; 16]))] {
        let hold = Hold { version: of, by: PrincipalId::from_bytes([3; 16]), at: now };
        let holds = BTreeMap::from([("case".parse().unwrap(), hold)]);
        assert_eq!(told(&Artifact { holds, ..both.clone() }, 0, 5, false), Keeping::Held);
    }
}

#[test]
fn a_rule_reaches_no_class_above_the_one_it_was_set_for() {
    let now = Timestamp::from_millis(100 * DAY);
    let secret = Version { class: Class::Confidential, ..version(1, 0) };
    assert_eq!(fate(&artifact(None, Some(1)), &secret, 5, false, now).keeping, Keeping::Above);
    let rule = |keep_secs, keep_last, class| Retention { keep_secs, keep_last, class, due: None };
    let (low, high) = (Class::Internal, Class::Confidential);
    let before = rule(Some(10), Some(2), low);
    for (after, keeps) in [
        (rule(Some(10), Some(2), low), true),
        (rule(Some(11), Some(3), low), true),
        (rule(Some(9), Some(3), low), false),
        (rule(Some(10), None, low), false),
        (rule(None, Some(9), low), false),
        (rule(Some(10), Some(2), high), false),
    ] {
        assert_eq!(after.keeps_all_of(&before), keeps, "{after:?}");
    }
    assert!(rule(Some(1), Some(2), low).keeps_all_of(&rule(None, Some(2), low)));
}

#[test]
fn a_commit_brings_the_look_forward_and_never_puts_it_off() {
    let at = Timestamp::from_millis;
    let due = |rule: Option<Retention>, now| after_commit(rule, now).unwrap().due;
    let rule = |keep_secs, keep_last, due| Some(Retention { keep_secs, keep_last, class: Class::Internal, due });
    assert_eq!(due(rule(None, Some(3), None), at(7)), Some(at(7)));
    assert_eq!(due(rule(Some(DAY_SECS), None, None), at(7)), Some(at(7 + DAY)));
    assert_eq!(due(rule(Some(DAY_SECS), None, Some(at(5))), at(7)), Some(at(5)));
    assert_eq!(after_commit(None, at(7)), None);
}

proptest! {
    /// Whatever is to go is looked at when it is, not a day later: no fate that time alone brings is forgotten.
    #[test]
    fn the_next_look_is_not_behind_the_first_version_that_ages(
        ages in proptest::collection::vec(0_u64..100, 1..9),
        keep_days in 1_u64..100,
        keep_last in proptest::option::of(1_u32..5),
    ) {
        let mut days = ages;
        days.sort_unstable_by(|a, b| b.cmp(a));
        let artifact = artifact(Some(keep_days), keep_last);
        let now = Timestamp::from_millis(100 * DAY);
        let versions: Vec<Version> = (1..).zip(&days).map(|(n, day)| version(n, *day)).collect();
        let at = |now| {
            let of = |(rank, version): (usize, &Version)| (version.clone(), fate(&artifact, version, rank, false, now));
            versions.iter().enumerate().map(of).collect::<Vec<_>>()
        };
        let mut fates = at(now);
        fates.retain(|(_, fate)| fate.keeping != Keeping::Due);
        match next_look(&fates, now) {
            None => prop_assert!(fates.iter().all(|(_, fate)| fate.keeping == Keeping::Last)),
            Some(next) => {
                prop_assert!(next > now);
                let due = |now: Timestamp| {
                    fates.iter().filter(|(kept, _)| {
                        at(now).iter().any(|(version, fate)| version.id == kept.id && fate.keeping == Keeping::Due)
                    }).count()
                };
                prop_assert_eq!(due(Timestamp::from_millis(next.as_millis() - 1)), 0);
                prop_assert!(due(next) > 0);
            }
        }
    }
}
