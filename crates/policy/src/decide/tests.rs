use super::*;
use crate::facts::{Approval, Artifact, Context, Mfa, Principal, PrincipalState, Resource, Workspace};
use crate::role::{Held, Role, Scope};
use crate::set::{Pins, Source, schema};
use crate::slice::{Names, ResourceFacts};
use api::terms::{
    Action, ArtifactId, AuthMethod, Class, Environment, Kind, Mode, PrincipalId, PrincipalKind, RootKind, Timestamp,
    VaultId, WorkspaceId,
};
use cedar_policy::{Context as CedarContext, Entities, Request};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::Value;
use std::sync::{Arc, OnceLock};

fn id(n: u8) -> [u8; 16] {
    [n; 16]
}

prop_compose! {
    fn a_principal()(
        n in 0..3_u8,
        kind in select(PrincipalKind::ALL),
        clearance in select(Class::ALL),
        active in prop::bool::weighted(0.9),
        roles in vec((select(Role::ALL), option::of(0..2_u8), option::weighted(0.2, 0..3_u64)), 0..4),
        envs in subsequence(Environment::ALL, 0..=3),
    ) -> Principal {
        let held = |(role, place, until): (Role, Option<u8>, Option<u64>)| Held {
            role,
            scope: place.map_or(Scope::Vault, |n| Scope::Workspace(WorkspaceId::from_bytes(id(n)))),
            until: until.map(Timestamp::from_millis),
        };
        Principal {
            id: PrincipalId::from_bytes(id(n)),
            kind,
            clearance,
            state: if active { PrincipalState::Active } else { PrincipalState::Suspended },
            roles: roles.into_iter().map(held).collect(),
            envs,
        }
    }
}

prop_compose! {
    fn an_artifact()(
        (n, place) in (0..2_u8, 0..2_u8),
        class in select(Class::ALL),
        env in select(Environment::ALL),
        kind in select(Kind::ALL),
        owner in option::weighted(0.9, 0..3_u8),
        quarantined in prop::bool::weighted(0.1),
        residency in subsequence(vec!["eu", "us\"\\\u{7}ä"], 0..=2),
    ) -> Artifact {
        Artifact {
            id: ArtifactId::from_bytes(id(n)),
            workspace: WorkspaceId::from_bytes(id(place)),
            class,
            env,
            kind,
            owner: owner.map(|n| PrincipalId::from_bytes(id(n))),
            quarantined,
            residency: residency.into_iter().map(str::to_owned).collect(),
        }
    }
}

fn a_resource() -> impl Strategy<Value = Resource> {
    let workspace = (0..2_u8).prop_map(|n| Resource::Workspace(Workspace { id: WorkspaceId::from_bytes(id(n)) }));
    prop_oneof![6 => an_artifact().prop_map(Resource::Artifact), 1 => workspace, 1 => Just(Resource::Vault)]
}

prop_compose! {
    fn a_context()(
        now in 0..4_u64,
        auth in select(AuthMethod::ALL),
        mode in select(Mode::ALL),
        age in option::of(prop_oneof![Just(0), Just(3_600_000), Just(43_200_001_u64), Just(u64::MAX)]),
        approvers in subsequence(vec![0_u8, 1, 2], 0..=3),
        flags in any::<[bool; 3]>(),
        region in option::of(select(vec!["eu", "us"])),
        roots in subsequence(RootKind::ALL.to_vec(), 0..=3),
    ) -> Context {
        let approval = |n: u8| Approval {
            rule: if n == 0 { "confidential-export" } else { "restricted-export" }.to_owned(),
            approver: PrincipalId::from_bytes(id(n)),
            kind: PrincipalKind::User,
            roles: vec![if n == 2 { Role::Owner } else { Role::Steward }],
        };
        let [task_open, reason_given, confirmed] = flags;
        Context {
            now: Timestamp::from_millis(now),
            auth,
            mode,
            mfa: age.map_or(Mfa::Never, |millis| Mfa::Age { millis }),
            approvals: approvers.into_iter().map(approval).collect(),
            task_open,
            reason_given,
            confirmed,
            roots,
            region: region.map(str::to_owned),
        }
    }
}

prop_compose! {
    fn a_query()(
        principal in a_principal(),
        action in select(Action::ALL),
        resource in a_resource(),
        context in a_context(),
        salt in any::<[u8; 16]>(),
    ) -> Query {
        Query { vault: VaultId::from_bytes(id(0)), principal, action, resource, context, salt }
    }
}

/// Policies with every form of scope that the index reads, and conditions that hold, fail and (forced past the
/// validator by arithmetic) err.
fn a_policy() -> impl Strategy<Value = String> {
    let hex = |n: u8| format!("{n:02x}").repeat(16);
    let principal = prop_oneof![
        Just("principal".to_owned()),
        select(Role::ALL).prop_map(|role| format!("principal in Role::\"{role}\"")),
        select(vec!["User", "Service", "Workload"]).prop_map(|kind| format!("principal is {kind}")),
        (0..3_u8).prop_map(move |n| format!("principal == User::\"{}\"", hex(n))),
        select(Role::ALL).prop_map(|role| format!("principal is User in Role::\"{role}\"")),
    ];
    let on_artifacts = vec!["read", "export", "write", "alias", "list"];
    let action = prop_oneof![
        select(on_artifacts.clone()).prop_map(|action| format!("action == Action::\"{action}\"")),
        subsequence(on_artifacts, 1..4).prop_map(|actions| {
            let names: Vec<String> = actions.iter().map(|action| format!("Action::\"{action}\"")).collect();
            format!("action in [{}]", names.join(", "))
        }),
    ];
    let resource = prop_oneof![
        Just("resource is Artifact".to_owned()),
        (0..2_u8).prop_map(move |n| format!("resource is Artifact in Workspace::\"{}\"", hex(n))),
        (0..2_u8).prop_map(move |n| format!("resource == Artifact::\"{}\"", hex(n))),
        Just(format!("resource is Artifact in Vault::\"{}\"", hex(0))),
    ];
    let condition = select(vec![
        "",
        "when { principal.clearance >= resource.class }",
        "when { resource.env == \"dev\" && context.solo }",
        "unless { context.task || resource.quarantined }",
        "when { context.mfa.age <= duration(\"1h\") } unless { principal.envs.contains(resource.env) }",
        "when { principal.clearance * 4611686018427387904 > 0 }",
    ]);
    (any::<bool>(), principal, action, resource, condition).prop_map(|(permit, p, a, r, c)| {
        let effect = if permit { "permit" } else { "forbid" };
        format!("{effect} ({p}, {a}, {r}) {c};")
    })
}

fn a_set() -> impl Strategy<Value = Set> {
    (any::<bool>(), vec(a_policy(), 0..24)).prop_map(|(with_baseline, policies)| {
        let numbered = policies.iter().enumerate().map(|(n, policy)| format!("@id(\"p{n}\")\n{policy}\n"));
        let mut sources = if with_baseline { Set::baseline_sources() } else { Vec::new() };
        sources.push(Source { name: "own".to_owned(), text: numbered.collect() });
        Set::load_with(&sources, Pins::Waived).unwrap()
    })
}

fn facts_of(set: &Set, query: &Query) -> Facts {
    Facts::of(query, approval::met(&set.tables.approvals, query)).unwrap()
}

fn baseline() -> &'static Set {
    static SET: OnceLock<Set> = OnceLock::new();
    SET.get_or_init(|| Set::baseline().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_index_answers_as_the_whole_set(set in a_set(), queries in vec(a_query(), 16)) {
        for query in queries {
            let facts = facts_of(&set, &query);
            let slice = Slice::build(&set.names, &facts).unwrap();
            let narrow = evaluate(&set, &set.candidates(&facts.target()), &slice);
            let whole = evaluate(&set, &set.all(), &slice);
            prop_assert_eq!(narrow.allowed, whole.allowed);
            prop_assert_eq!(narrow.errors, whole.errors);
            let ids = |entries: Vec<&Entry>| entries.iter().map(|entry| entry.id.clone()).collect::<Vec<_>>();
            prop_assert_eq!(ids(narrow.determining), ids(whole.determining));
        }
    }

    #[test]
    fn an_error_in_any_policy_denies(set in a_set(), query in a_query()) {
        let answer = decide(&set, &query);
        prop_assert!(!answer.allowed || answer.errors.is_empty());
        prop_assert_eq!(answer.allowed, answer.code.is_none());
    }

    #[test]
    fn a_record_replays_to_the_same_answer(set in a_set(), query in a_query()) {
        let answer = decide(&set, &query);
        prop_assert_eq!(replay(&set, &answer.record, Some(answer.set_hash)).unwrap(), answer);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn slices_fit_the_schema_and_their_json_is_what_cedar_saw(query in a_query()) {
        let facts = facts_of(baseline(), &query);
        let slice = Slice::build(&baseline().names, &facts).unwrap();
        let record = Record::of(&facts, query.salt);
        let schema = schema().unwrap();
        let json: Value = serde_json::from_slice(&record.slice).unwrap();
        let read = Entities::from_json_value(json.get("entities").unwrap().clone(), None).unwrap();
        prop_assert!(read.deep_eq(&slice.entities));
        Entities::from_entities(slice.entities.iter().cloned(), Some(schema)).unwrap();
        let context = CedarContext::from_json_str(std::str::from_utf8(&record.context).unwrap(), None).unwrap();
        prop_assert_eq!(Some(&context), slice.request.context());
        let action = slice.request.action().unwrap().clone();
        context.validate(schema, &action).unwrap();
        let of = &slice.request;
        let (principal, resource) = (of.principal().unwrap().clone(), of.resource().unwrap().clone());
        let checked = Request::new(principal, action, resource, context, Some(schema));
        prop_assert_eq!(checked.is_ok(), facts.action_applies());
    }

    /// Entities are built once for the same subjects, and anew when any fact about them differs.
    #[test]
    fn entities_are_shared_by_none_but_the_same_subjects(query in a_query(), other_time in any::<u32>()) {
        let facts = facts_of(baseline(), &query);
        let names = Names::new().unwrap();
        let build = |facts: &Facts| Slice::build(&names, facts).unwrap().entities;
        let first = build(&facts);
        let mut later = facts.clone();
        later.context.mfa_age_millis = other_time.into();
        prop_assert!(Arc::ptr_eq(&first, &build(&later)));
        let mut changed = vec![facts.clone(); 3];
        changed[0].principal.active = !facts.principal.active;
        changed[1].vault.push('0');
        match &mut changed[2].resource {
            ResourceFacts::Vault => changed[2].principal.id.push('0'),
            ResourceFacts::Workspace(id) => id.push('0'),
            ResourceFacts::Artifact(artifact) => artifact.quarantined = !artifact.quarantined,
        }
        for other in changed {
            prop_assert!(!first.deep_eq(&build(&other)));
        }
    }

    /// The shape of a fact that is lost: an attribute, an edge, an entity, a field of the context.
    #[test]
    fn losing_any_fact_never_turns_a_no_into_a_yes(query in a_query(), solo_restricted in any::<bool>()) {
        let mut query = query;
        if solo_restricted {
            query.context.mode = Mode::Solo;
        }
        let facts = facts_of(baseline(), &query);
        let record = Record::of(&facts, query.salt);
        let slice = Slice::build(&baseline().names, &facts).unwrap();
        let whole = baseline().all();
        if !evaluate(baseline(), &whole, &slice).allowed {
            let entities: Value = serde_json::from_slice::<Value>(&record.slice).unwrap().get("entities").unwrap().clone();
            let context: Value = serde_json::from_slice(&record.context).unwrap();
            for poorer in poorer_slices(&slice, &entities, &context) {
                prop_assert!(!evaluate(baseline(), &whole, &poorer).allowed, "{:?}", poorer);
            }
        }
    }
}

/// Every slice that lacks one thing.
fn poorer_slices(slice: &Slice, entities: &Value, context: &Value) -> Vec<Slice> {
    let entities = entities.as_array().unwrap();
    let mut poorer = Vec::new();
    for at in 0..entities.len() {
        let mut lost = entities.clone();
        let entity = lost.remove(at);
        poorer.push((lost.clone(), context.clone()));
        let mut put_back = |changed: Value| {
            let mut with = lost.clone();
            with.insert(at, changed);
            poorer.push((with, context.clone()));
        };
        for name in entity.get("attrs").unwrap().as_object().unwrap().keys() {
            let mut changed = entity.clone();
            changed.get_mut("attrs").unwrap().as_object_mut().unwrap().remove(name);
            put_back(changed);
        }
        for edge in 0..entity.get("parents").unwrap().as_array().unwrap().len() {
            let mut changed = entity.clone();
            changed.get_mut("parents").unwrap().as_array_mut().unwrap().remove(edge);
            put_back(changed);
        }
    }
    for name in context.as_object().unwrap().keys() {
        let mut lost = context.clone();
        lost.as_object_mut().unwrap().remove(name);
        poorer.push((entities.clone(), lost));
    }
    let build = |(entities, context): (Vec<Value>, Value)| {
        let context = CedarContext::from_json_value(context, None).unwrap();
        let of = &slice.request;
        let (principal, action) = (of.principal().unwrap().clone(), of.action().unwrap().clone());
        let request = Request::new(principal, action, of.resource().unwrap().clone(), context, None).unwrap();
        Slice { request, entities: Arc::new(Entities::from_json_value(Value::Array(entities), None).unwrap()) }
    };
    poorer.into_iter().map(build).collect()
}

#[test]
fn a_value_of_the_wrong_type_denies() {
    let query = Query {
        vault: VaultId::from_bytes(id(0)),
        principal: Principal {
            id: PrincipalId::from_bytes(id(1)),
            kind: PrincipalKind::User,
            clearance: Class::Restricted,
            state: PrincipalState::Active,
            roles: vec![Held::new(Role::Reader, Scope::Vault)],
            envs: Environment::ALL.to_vec(),
        },
        action: Action::Read,
        resource: Resource::Artifact(Artifact {
            id: ArtifactId::from_bytes(id(2)),
            workspace: WorkspaceId::from_bytes(id(3)),
            class: Class::Public,
            env: Environment::Dev,
            kind: Kind::Model,
            owner: Some(PrincipalId::from_bytes(id(1))),
            quarantined: false,
            residency: Vec::new(),
        }),
        context: Context::new(Timestamp::from_millis(0), Mode::Rehearsal),
        salt: id(0),
    };
    let facts = facts_of(baseline(), &query);
    let slice = Slice::build(&baseline().names, &facts).unwrap();
    let whole = baseline().all();
    assert!(evaluate(baseline(), &whole, &slice).allowed);
    let text = String::from_utf8(Record::of(&facts, id(0)).slice).unwrap();
    for (from, to) in [
        (r#""class":0"#, r#""class":"0""#),
        (r#""active":true"#, r#""active":1"#),
        (r#""quarantined":false"#, r#""quarantined":"false""#),
        (r#""roles":["member","reader"]"#, r#""roles":"member""#),
        (r#""residency":[]"#, r#""residency":{}"#),
    ] {
        assert!(text.contains(from), "{from} is not in {text}");
        let json: Value = serde_json::from_str(&text.replace(from, to)).unwrap();
        let entities = Entities::from_json_value(json.get("entities").unwrap().clone(), None).unwrap();
        let request = slice.request.clone();
        let outcome = evaluate(baseline(), &whole, &Slice { request, entities: Arc::new(entities) });
        assert!(!outcome.allowed && !outcome.errors.is_empty(), "{to}");
    }
}
