use super::*;
use crate::field::SealedText;
use crate::fuzz::row;
use api::terms::{
    ArtifactId, Class, DepotId, DepotKind, EntryId, Environment, GrantId, IncidentId, KeyId, KeyState, Kind, Name,
    ObjectId, PrincipalId, PrincipalKind, RunId, Suite, Timestamp, VersionId, WorkspaceId,
};
use api::wire::RunOutput;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::collections::BTreeMap;
use std::fmt::Debug;

fn id<T: Debug>(from: fn([u8; 16]) -> T) -> impl Strategy<Value = T> {
    any::<[u8; 16]>().prop_map(from)
}

fn times() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_millis)
}

/// As large as rows count.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![0..1_000u64, Just(log::jcs::MAX_INTEGER)]
}

fn names() -> impl Strategy<Value = Name> {
    "[a-zA-Z0-9]([a-zA-Z0-9._-]{0,98}[a-zA-Z0-9])?".prop_map(|text| text.parse().unwrap())
}

/// Any text, control characters and all.
fn texts() -> impl Strategy<Value = String> {
    ".{0,40}".prop_map(|text| format!("{text}\u{1}\"\\"))
}

fn pairs() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(texts(), texts(), 0..4)
}

fn domains() -> impl Strategy<Value = Domain> {
    (id(WorkspaceId::from_bytes), select(Environment::ALL), select(Class::ALL))
        .prop_map(|(workspace, environment, class)| Domain { workspace, environment, class })
}

fn workspaces() -> impl Strategy<Value = Workspace> {
    let fields = (
        id(WorkspaceId::from_bytes),
        names(),
        prop::option::of(select(Class::ALL)),
        times(),
        id(PrincipalId::from_bytes),
    );
    fields.prop_map(|(id, name, default_class, created, creator)| Workspace {
        id,
        name,
        default_class,
        created,
        creator,
    })
}

fn artifacts() -> impl Strategy<Value = Artifact> {
    let who = (id(ArtifactId::from_bytes), id(WorkspaceId::from_bytes), id(PrincipalId::from_bytes));
    let fields = (who, names(), select(Kind::ALL), select(Class::ALL), times(), numbers());
    let kept = (prop::option::of(retentions()), prop::collection::btree_map(names(), holds(), 0..3));
    (fields, numbers(), kept).prop_map(|(fields, current, (retention, holds))| {
        let ((id, workspace, creator), name, kind, class, created, latest) = fields;
        Artifact { id, workspace, name, kind, class, created, creator, latest, current, retention, holds }
    })
}

fn retentions() -> impl Strategy<Value = Retention> {
    let fields =
        (prop::option::of(numbers()), prop::option::of(any::<u32>()), select(Class::ALL), prop::option::of(times()));
    fields.prop_map(|(keep_secs, keep_last, class, due)| Retention { keep_secs, keep_last, class, due })
}

fn holds() -> impl Strategy<Value = Hold> {
    let fields = (prop::option::of(id(VersionId::from_bytes)), id(PrincipalId::from_bytes), times());
    fields.prop_map(|(version, by, at)| Hold { version, by, at })
}

fn removals() -> impl Strategy<Value = Removed> {
    let fields = (times(), id(PrincipalId::from_bytes), any::<[bool; 3]>(), times(), prop::option::of(times()));
    fields.prop_map(|(at, by, [by_rule, held, by_key], until, destroyed)| Removed {
        at,
        by,
        by_rule,
        until,
        held,
        destroyed,
        by_key,
    })
}

fn places() -> impl Strategy<Value = (Environment, Suite)> {
    (select(Environment::ALL), select(Suite::ALL))
}

fn versions() -> impl Strategy<Value = Version> {
    let ids = (
        id(VersionId::from_bytes),
        id(ArtifactId::from_bytes),
        id(WorkspaceId::from_bytes),
        id(KeyId::from_bytes),
        id(ObjectId::from_bytes),
        id(PrincipalId::from_bytes),
    );
    let from = prop::collection::vec(id(VersionId::from_bytes), 0..3);
    let rest = (numbers(), select(Class::ALL), places(), numbers(), numbers(), times(), pairs(), from);
    let anew = (times(), id(KeyId::from_bytes), texts());
    let anew = anew.prop_map(|(at, key, digest)| Reencryption { at, key, digest });
    let apart = (times(), id(PrincipalId::from_bytes)).prop_map(|(at, by)| Archived { at, by });
    let moved = (prop::option::of(anew), prop::option::of(apart));
    let ends = (prop::option::of(made()), prop::option::of(removals()), select(KeyState::ALL), moved);
    (ids, rest, texts(), texts(), ends).prop_map(|(ids, rest, digest, plaintext, ends)| {
        let (made, removed, key_state, (reencrypted, archived)) = ends;
        let (id, artifact, workspace, key, object, creator) = ids;
        let (number, class, (environment, suite), bytes, files, created, tags, from) = rest;
        Version {
            id,
            artifact,
            workspace,
            number,
            class,
            environment,
            suite,
            key,
            key_state,
            digest,
            object,
            plaintext,
            bytes,
            files,
            created,
            creator,
            tags,
            from,
            made,
            removed,
            reencrypted,
            archived,
        }
    })
}

fn made() -> impl Strategy<Value = Made> {
    let fields = (id(RunId::from_bytes), texts(), prop::option::of(texts()), texts(), pairs());
    fields.prop_map(|(run, command, code, environment, parts)| Made {
        run,
        command: SealedText(command),
        code,
        environment,
        parts,
    })
}

fn runs() -> impl Strategy<Value = Run> {
    let outputs = (names(), names(), prop::option::of(select(Class::ALL)), select(Environment::ALL)).prop_map(
        |(workspace, artifact, class, environment)| RunOutput {
            workspace,
            artifact,
            class,
            at_least: None,
            environment,
            kind: None,
        },
    );
    let places = (
        prop::collection::vec(id(VersionId::from_bytes), 0..3),
        prop::collection::vec(outputs, 0..3),
        prop::collection::vec(id(VersionId::from_bytes), 0..3),
    );
    let who = (id(RunId::from_bytes), id(PrincipalId::from_bytes), texts());
    let when = (times(), times(), times(), prop::option::of(times()));
    (who, places, any::<bool>(), any::<bool>(), when).prop_map(
        |((id, principal, session_key), (inputs, outputs, confirmed), reasoned, unattended, when)| {
            let (started, until, renewed, ended) = when;
            Run {
                id,
                principal,
                session_key,
                inputs,
                outputs,
                reasoned,
                confirmed,
                unattended,
                started,
                until,
                renewed,
                ended,
            }
        },
    )
}

fn aliases() -> impl Strategy<Value = Alias> {
    (id(ArtifactId::from_bytes), names(), id(VersionId::from_bytes)).prop_map(|(artifact, name, version)| Alias {
        artifact,
        name,
        version,
    })
}

fn edges() -> impl Strategy<Value = Edge> {
    (id(VersionId::from_bytes), id(VersionId::from_bytes)).prop_map(|(source, made)| Edge {
        source,
        made,
        kind: api::wire::LineageKind::From,
    })
}

fn depots() -> impl Strategy<Value = Depot> {
    let texts = (texts(), prop::option::of(texts()), prop::option::of(texts()), prop::option::of(texts()));
    let when = (prop::option::of(times()), prop::option::of(times()));
    (id(DepotId::from_bytes), select(DepotKind::ALL), texts, any::<i32>(), when).prop_map(
        |(id, kind, (place, endpoint, region, credentials), rank, (created, retired))| Depot {
            id,
            kind,
            place,
            endpoint,
            region,
            credentials,
            rank,
            created,
            retired,
        },
    )
}

fn drafts() -> impl Strategy<Value = Draft> {
    let ids = (
        id(VersionId::from_bytes),
        id(ArtifactId::from_bytes),
        id(WorkspaceId::from_bytes),
        id(PrincipalId::from_bytes),
        id(KeyId::from_bytes),
        id(EntryId::from_bytes),
    );
    let kinds = prop::option::of(select(Kind::ALL));
    let run = prop::option::of(id(RunId::from_bytes));
    let renews = (id(KeyId::from_bytes), texts()).prop_map(|(key, digest)| Renews { key, digest });
    let rest = (select(Class::ALL), texts(), places(), kinds, run, times(), times(), prop::option::of(renews));
    (ids, rest).prop_map(|(ids, (class, class_why, (environment, suite), kind, run, begun, lease_until, renews))| {
        let (version, artifact, workspace, principal, key, intent) = ids;
        Draft {
            version,
            artifact,
            workspace,
            principal,
            class,
            class_why,
            environment,
            kind,
            suite,
            key,
            intent,
            run,
            begun,
            lease_until,
            renews,
        }
    })
}

fn principals() -> impl Strategy<Value = Principal> {
    let erased = (times(), id(PrincipalId::from_bytes), prop::option::of(times()));
    let erased = prop::option::of(erased.prop_map(|(at, by, finished)| Erased { at, by, finished }));
    let who = id(PrincipalId::from_bytes);
    let fields = (who, select(PrincipalKind::ALL), select(Class::ALL), any::<bool>(), times(), erased);
    fields.prop_map(|(id, kind, clearance, suspended, created, erased)| Principal {
        id,
        kind,
        clearance,
        suspended,
        created,
        erased,
    })
}

fn subjects() -> impl Strategy<Value = Subject> {
    let fields = (id(PrincipalId::from_bytes), [texts(), texts(), texts()], any::<[u32; 2]>(), times());
    fields.prop_map(|(id, [name_index, name, key], [version, under], created)| Subject {
        id,
        name_index,
        name: SealedText(name),
        key: SealedText(key),
        version,
        under,
        created,
    })
}

fn grants() -> impl Strategy<Value = Grant> {
    let fields = (
        id(GrantId::from_bytes),
        id(PrincipalId::from_bytes),
        prop::option::of(id(WorkspaceId::from_bytes)),
        texts(),
        prop::option::of(times()),
        times(),
    );
    fields.prop_map(|(id, principal, workspace, role, until, created)| Grant {
        id,
        principal,
        workspace,
        role,
        until,
        created,
    })
}

const PURPOSES: &[Purpose] = &[
    Purpose::Domain,
    Purpose::Archive,
    Purpose::LogEd25519,
    Purpose::LogMldsa44,
    Purpose::Release,
    Purpose::RowMac,
    Purpose::Field,
];

fn keys() -> impl Strategy<Value = Key> {
    let states = select(KeyState::ALL);
    let what = (select(PURPOSES), prop::option::of(domains()), any::<u32>(), select(Suite::ALL), states);
    let ended = (times(), id(PrincipalId::from_bytes), times(), prop::option::of(times()), prop::option::of(times()));
    let ending = ended.prop_map(|(at, by, until, shredded, certified)| Ending { at, by, until, shredded, certified });
    let when = (times(), times(), prop::option::of(times()), prop::option::of(ending));
    (id(KeyId::from_bytes), what, texts(), when).prop_map(
        |(id, (purpose, domain, version, suite, state), fingerprint, (created, since, due, ending))| Key {
            id,
            purpose,
            domain,
            version,
            suite,
            state,
            fingerprint,
            created,
            since,
            due,
            ending,
        },
    )
}

fn named_keys() -> impl Strategy<Value = NamedKey> {
    let fields = (id(ArtifactId::from_bytes), names(), domains(), times(), id(PrincipalId::from_bytes));
    fields.prop_map(|(id, name, domain, created, creator)| NamedKey { id, name, domain, created, creator })
}

fn named_versions() -> impl Strategy<Value = NamedVersion> {
    let ids = (id(KeyId::from_bytes), id(ArtifactId::from_bytes), any::<u32>());
    let what = (select(Suite::ALL), select(KeyState::ALL), texts());
    (ids, what, (times(), times()), prop::option::of(times())).prop_map(
        |((key, named, number), (suite, state, fingerprint), (created, since), due)| NamedVersion {
            key,
            named,
            number,
            suite,
            state,
            fingerprint,
            created,
            since,
            due,
        },
    )
}

fn wraps() -> impl Strategy<Value = Wrap> {
    let ids = (
        id(KeyId::from_bytes),
        id(KeyId::from_bytes),
        id(KeyId::from_bytes),
        prop::option::of(id(ArtifactId::from_bytes)),
        prop::option::of(id(VersionId::from_bytes)),
    );
    let kinds = select(&[WrapKind::Version, WrapKind::Named, WrapKind::Domain, WrapKind::Vault][..]);
    let kinds = (kinds, select(Suite::ALL));
    let rest = (kinds, prop::option::of(select(PURPOSES)), prop::option::of(domains()), any::<u32>(), texts(), texts());
    (ids, rest).prop_map(|(ids, ((kind, suite), purpose, domain, under_version, sealed, fingerprint))| {
        let (id, key, under, artifact, version) = ids;
        Wrap { id, kind, key, suite, purpose, domain, artifact, version, under, under_version, sealed, fingerprint }
    })
}

fn roots() -> impl Strategy<Value = Root> {
    use crate::rows::{Failing, RootState};
    use crate::vault::RootKind as Kind;
    let kinds = [Kind::Keyfile, Kind::Passphrase, Kind::Recovery, Kind::Pkcs11, Kind::AwsKms, Kind::Escrow];
    let states = [RootState::Joining, RootState::Active, RootState::Behind, RootState::Retired];
    let failing = (times(), texts()).prop_map(|(since, why)| Failing { since, why });
    let health = (any::<u32>(), prop::option::of(failing), prop::option::of(times()));
    let rest = (select(states.to_vec()), prop::option::of(texts()), any::<bool>());
    let ids = (id(KeyId::from_bytes), select(kinds.to_vec()), times());
    let escrow = (prop::option::of(texts()), prop::option::of(any::<u16>()), prop::option::of(id(KeyId::from_bytes)));
    (ids, rest, health, escrow).prop_map(|(ids, (state, public, in_file), (priority, failing, drilled), escrow)| Root {
        id: ids.0,
        kind: ids.1,
        created: ids.2,
        state,
        priority,
        failing,
        drilled,
        public,
        in_file,
        escrow: escrow.0,
        generation: escrow.1,
        follows: escrow.2,
    })
}

fn bursts() -> impl Strategy<Value = Burst> {
    let policies = prop::collection::vec(texts(), 0..4);
    let who = (texts(), id(PrincipalId::from_bytes), texts(), texts());
    (who, pairs(), pairs(), policies, (times(), times(), times()), (numbers(), numbers())).prop_map(
        |((same, principal, auth, act), subject, detail, policies, (began, until, last), (logged, counted))| Burst {
            same,
            principal,
            auth,
            act,
            subject,
            detail,
            policies,
            began,
            until,
            last,
            logged,
            counted,
        },
    )
}

fn incidents() -> impl Strategy<Value = Incident> {
    let said = || (id(PrincipalId::from_bytes), times()).prop_map(|(by, at)| Said { by, at });
    let about = prop_oneof![
        domains().prop_map(IncidentAbout::Domain),
        id(VersionId::from_bytes).prop_map(IncidentAbout::Version)
    ];
    let counts = prop::collection::vec(numbers(), 10);
    let at = (times(), prop::option::of(times()), prop::option::of(times()));
    let told = (counts, at, texts(), texts()).prop_map(|(counts, (at, first, last), log_root, evidence)| Told {
        at,
        log_size: counts[0],
        log_root,
        versions: counts[1],
        unfinished: counts[2],
        destroyed: counts[3],
        packs: counts[4],
        records_lost: counts[5],
        principals: counts[6],
        releases: counts[7],
        exports: counts[8],
        shares: counts[9],
        writes: counts[0],
        first,
        last,
        keys: evidence.clone(),
        people: evidence.clone(),
        evidence,
    });
    let done = prop::collection::btree_map(select(api::terms::PlaybookStep::ALL), said(), 0..3);
    let ids = (
        id(IncidentId::from_bytes),
        id(KeyId::from_bytes),
        id(WorkspaceId::from_bytes),
        id(PrincipalId::from_bytes),
        id(EntryId::from_bytes),
    );
    (ids, about, times(), prop::option::of(told), done, prop::option::of(said())).prop_map(
        |((id, key, workspace, by, entry), about, at, found, done, closed)| Incident {
            id,
            key,
            workspace,
            about,
            by,
            at,
            entry,
            found,
            done,
            closed,
        },
    )
}

/// What is written is what is read; a body with one byte altered is refused, or is a row with one form of its own.
fn check<T: Table + PartialEq + Debug>(typed: &T, at: Index, to: u8) -> std::result::Result<(), TestCaseError> {
    let body = canonical(typed).unwrap();
    let read: T = serde_json::from_slice(&body).unwrap();
    prop_assert_eq!(&read, typed);
    prop_assert_eq!(row(T::NAME, &body), Some(body.clone()));
    let at = at.index(body.len());
    let mut altered = body.clone();
    altered[at] = to;
    if let Some(again) = row(T::NAME, &altered) {
        prop_assert_eq!(row(T::NAME, &again), Some(again.clone()));
    }
    prop_assert!(row(T::NAME, &body[..at]).is_none(), "cut");
    let longer = body.strip_suffix(b"}").unwrap();
    prop_assert!(row(T::NAME, &[longer, br#","x":1}"#.as_slice()].concat()).is_none(), "a field that is not known");
    Ok(())
}

macro_rules! rows_read_as_they_were_written {
    ($($name:ident: $rows:expr;)+) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(128))]
            $(#[test]
            fn $name(row in $rows, at in any::<Index>(), to in any::<u8>()) {
                check(&row, at, to)?;
            })+
        }
    };
}

rows_read_as_they_were_written! {
    a_workspace_reads_as_it_was_written: workspaces();
    an_artifact_reads_as_it_was_written: artifacts();
    a_version_reads_as_it_was_written: versions();
    an_alias_reads_as_it_was_written: aliases();
    an_edge_reads_as_it_was_written: edges();
    a_draft_reads_as_it_was_written: drafts();
    a_run_reads_as_it_was_written: runs();
    a_principal_reads_as_it_was_written: principals();
    a_subject_reads_as_it_was_written: subjects();
    a_grant_reads_as_it_was_written: grants();
    a_key_reads_as_it_was_written: keys();
    a_wrap_reads_as_it_was_written: wraps();
    a_root_reads_as_it_was_written: roots();
    a_policy_source_reads_as_it_was_written:
        (texts(), texts()).prop_map(|(name, text)| PolicySource { name, text });
    a_policy_set_reads_as_it_was_written:
        (texts(), texts(), prop::collection::vec(texts(), 0..4), times(), texts(), any::<u32>()).prop_map(
            |(hash, validator, sources, applied, baseline, edition)| PolicySet {
                hash, validator, sources, applied, baseline, edition,
            },
        );
    a_setting_reads_as_it_was_written: (texts(), texts()).prop_map(|(name, value)| Setting { name, value });
    a_burst_reads_as_it_was_written: bursts();
    a_depot_reads_as_it_was_written: depots();
    a_named_key_reads_as_it_was_written: named_keys();
    a_version_of_a_named_key_reads_as_it_was_written: named_versions();
    an_incident_reads_as_it_was_written: incidents();
}
