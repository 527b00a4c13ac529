use super::*;
use crate::facts::{Approval, Artifact, Context, Mfa, Principal, PrincipalState, Resource, Workspace};
use crate::likeness::Likeness;
use crate::role::{Held, Role, Scope};
use crate::set::{Pins, Source, WARM, schema};
use crate::slice::{Names, ResourceFacts};
use crate::standing::standing;
use api::terms::{
    Action, ArtifactId, AuthMethod, Class, Environment, Kind, Mode, PrincipalId, PrincipalKind, RootKind, Timestamp,
    VaultId, WorkspaceId,
};
use cedar_policy::{
    ActionConstraint, Context as CedarContext, Entities, EvalResult, Expression, PrincipalConstraint, Request,
    ResourceConstraint, eval_expression,
};
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
        held in prop::bool::weighted(0.1),
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
            held,
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

/// Conditions that guards understand, and those that they do not, which may hold, fail or err.
fn a_condition() -> impl Strategy<Value = String> {
    let place = format!("Workspace::\"{}\"", hex::encode(id(1)));
    let atoms = [
        "principal.active",
        "principal.clearance >= resource.class",
        "principal.clearance < 2",
        "principal.roles.containsAny([\"writer\", \"owner\"])",
        "principal.roles.containsAll([\"member\", \"reader\"])",
        "principal.envs.contains(resource.env)",
        "principal is User",
        "resource.class == 2",
        "resource.env == \"dev\"",
        "resource.kind != \"model\"",
        "resource.owner == \"\"",
        "resource.quarantined == true",
        "resource.held",
        "resource.residency.isEmpty()",
        "resource.residency.contains(context.region)",
        "context.solo",
        "context.own",
        "context.task",
        "context.auth == \"asserted\"",
        "context.mfa.applicable",
        "context.approved.contains(\"confidential-export\")",
        "context[\"roots\"].contains(\"keyfile\")",
        // Not understood.
        "principal in Role::\"reader\"",
        "principal is Service in Role::\"reader\"",
        &format!("resource in {place}"),
        &format!("resource.workspace == {place}"),
        "context.mfa.age <= duration(\"1h\")",
        "context.now < datetime(\"1970-01-01T00:00:00.002Z\")",
        "context[\"n\\u{6f}w\"] < datetime(\"1970-01-01T00:00:00.002Z\")",
        "context has region",
        "context.region like \"e*\"",
        "(if context.solo then context.task else context.own)",
        // These err for some.
        "principal.clearance * 4611686018427387904 > 0",
        "duration(\"1h\") < duration(\"2h\") && 9223372036854775807 + principal.clearance > 0",
    ];
    let atom = select(atoms.map(str::to_owned).to_vec());
    atom.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a} || {b})")),
        ]
    })
}

/// Policies with every form of scope that the schema takes; what it does not take is left out afterwards.
fn a_policy() -> impl Strategy<Value = String> {
    let hex = |n: u8| hex::encode(id(n));
    let principal = prop_oneof![
        2 => Just("principal".to_owned()),
        3 => select(Role::ALL).prop_map(|role| format!("principal in Role::\"{role}\"")),
        1 => select(vec!["User", "Service", "Workload"]).prop_map(|kind| format!("principal is {kind}")),
        1 => (select(vec!["==", "in"]), select(vec!["User", "Service"]), 0..3_u8)
            .prop_map(move |(op, kind, n)| format!("principal {op} {kind}::\"{}\"", hex(n))),
        1 => select(Role::ALL).prop_map(|role| format!("principal is User in Role::\"{role}\"")),
        1 => (0..3_u8).prop_map(move |n| format!("principal is User in User::\"{}\"", hex(n))),
    ];
    let names = |actions: Vec<Action>| {
        let names: Vec<String> = actions.iter().map(|action| format!("Action::\"{action}\"")).collect();
        format!("action in [{}]", names.join(", "))
    };
    let action = prop_oneof![
        1 => Just("action".to_owned()),
        4 => select(Action::ALL).prop_map(|action| format!("action == Action::\"{action}\"")),
        4 => subsequence(Action::ALL.to_vec(), 1..4).prop_map(names),
    ];
    let thing = prop_oneof![
        (0..2_u8).prop_map(move |n| format!("Artifact::\"{}\"", hex(n))),
        (0..2_u8).prop_map(move |n| format!("Workspace::\"{}\"", hex(n))),
        Just(format!("Vault::\"{}\"", hex(0))),
    ];
    let resource = prop_oneof![
        1 => Just("resource".to_owned()),
        3 => Just("resource is Artifact".to_owned()),
        1 => select(vec!["Vault", "Workspace"]).prop_map(|kind| format!("resource is {kind}")),
        1 => (select(vec!["==", "in"]), thing.clone()).prop_map(|(op, thing)| format!("resource {op} {thing}")),
        2 => thing.prop_map(|thing| format!("resource is Artifact in {thing}")),
    ];
    let clause = (select(vec!["when", "unless"]), a_condition())
        .prop_map(|(word, condition)| format!("{word} {{ {condition} }}"));
    (prop::bool::weighted(0.6), principal, action, resource, vec(clause, 0..3)).prop_map(
        |(permit, p, a, r, clauses)| {
            let effect = if permit { "permit" } else { "forbid" };
            format!("{effect} ({p}, {a}, {r}) {};", clauses.join(" "))
        },
    )
}

fn a_set() -> impl Strategy<Value = Set> {
    (any::<bool>(), vec(a_policy(), 0..24)).prop_map(|(with_baseline, policies)| {
        let source = |text: String| Source { name: "own".to_owned(), text };
        let numbered = policies.iter().enumerate().map(|(n, policy)| {
            let advice = ["", "@advice(\"present\")", "@advice(\"task\")", "@approval(\"restricted-export\")"];
            format!("@id(\"p{n}\") @reason(\"because {n}\") {}\n{policy}\n", advice[n % 4])
        });
        let valid = numbered.filter(|policy| Set::load_with(&[source(policy.clone())], Pins::Waived).is_ok());
        let text: String = valid.collect();
        let mut sources = if with_baseline { Set::baseline_sources() } else { Vec::new() };
        sources.push(source(text));
        Set::load_with(&sources, Pins::Waived).unwrap()
    })
}

/// The answer of the whole set, without the index: Cedar evaluates every policy, and what came near is found by asking Cedar
/// about the scope of each.
fn unsliced(set: &Set, query: &Query) -> Answer {
    let facts = facts_of(set, query);
    let whole = set.narrowed(&set.all());
    let asked = |facts: &Facts| {
        let slice = Slice::build(&set.names, facts, Clock::Told).unwrap();
        let outcome = evaluate(set, &whole.policies, &slice);
        (slice, outcome)
    };
    let mut answer = Answer::blank(set, Record::of(&facts, query.salt), facts.visible());
    if !facts.action_applies() {
        return decide(set, query);
    }
    let (slice, outcome) = asked(&facts);
    answer.allowed = outcome.allowed;
    answer.reasons = outcome.determining.iter().filter_map(|entry| entry.reason.clone()).collect();
    answer.policies = outcome.determining.iter().map(|entry| entry.id.clone()).collect();
    answer.errors = outcome.errors;
    if answer.allowed {
        return answer;
    }
    if answer.errors.is_empty() && answer.visible {
        answer.near_misses = near(set, &slice).0.explain(&facts, &slice, &outcome.determining);
        let wanted: Option<Vec<Advice>> = outcome.determining.iter().map(|entry| entry.advice.clone()).collect();
        let mut wanted = wanted.unwrap_or_default();
        wanted.sort();
        wanted.dedup();
        answer.advice = if asked(&facts.granting(&wanted)).1.allowed { wanted } else { Vec::new() };
    } else if answer.visible {
        answer.near_misses = failures(&answer.errors, near(set, &slice).1);
    }
    answer.approval = answer.advice.iter().find_map(|advice| match advice {
        Advice::Request { rule } => Some(rule.clone()),
        _ => None,
    });
    answer.code = Some(code(&answer, &outcome.determining));
    answer
}

/// What came near, as Cedar evaluates the scopes, and how many policies they admit.
fn near<'a>(set: &'a Set, slice: &Slice) -> (Near<'a>, usize) {
    let holds = |text: &str| {
        let expression: Expression = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        let value = eval_expression(&slice.request, &slice.entities, &expression).unwrap();
        matches!(value, EvalResult::Bool(true))
    };
    let (mut permits, mut forbids, mut admitted) = (Vec::new(), Vec::new(), 0);
    for entry in set.all().into_iter().filter_map(|at| set.at(at)) {
        let tree = entry.policy.to_pst().unwrap();
        let body = tree.body();
        let action = match entry.policy.action_constraint() {
            ActionConstraint::Any => "true".to_owned(),
            ActionConstraint::Eq(uid) => format!("action == {uid}"),
            ActionConstraint::In(uids) => {
                format!("[{}].contains(action)", uids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
        };
        let resource = match entry.policy.resource_constraint() {
            ResourceConstraint::Any => "true".to_owned(),
            _ => format!("resource {}", body.resource),
        };
        let principal = match entry.policy.principal_constraint() {
            PrincipalConstraint::Any => "true".to_owned(),
            _ => format!("principal {}", body.principal),
        };
        if !holds(&action) || !holds(&resource) {
            continue;
        }
        admitted += usize::from(holds(&principal));
        // Whoever lacks only a role came near; who is of another kind, or another person, did not.
        let but_for_roles = match entry.policy.principal_constraint() {
            PrincipalConstraint::In(uid) if uid.type_name().to_string() == "Role" => "true".to_owned(),
            PrincipalConstraint::IsIn(kind, uid) if uid.type_name().to_string() == "Role" => {
                format!("principal is {kind}")
            }
            _ => principal.clone(),
        };
        match entry.effect {
            Effect::Permit if holds(&but_for_roles) => permits.push(entry),
            Effect::Forbid if holds(&principal) => forbids.push(entry),
            _ => {}
        }
    }
    (Near { permits, forbids }, admitted)
}

fn facts_of(set: &Set, query: &Query) -> Facts {
    Facts::of(query, approval::met(&set.tables.approvals, query)).unwrap()
}

fn baseline() -> &'static Set {
    static SET: OnceLock<Set> = OnceLock::new();
    SET.get_or_init(|| Set::baseline().unwrap())
}

/// Whether a question is alike to one with other ids and a role somewhere else; if so, both have one answer.
fn one_answer_if_alike(set: &Set, query: &Query, other: u8) -> Result<bool, TestCaseError> {
    let mut twin = Query { salt: [7; 16], ..query.clone() };
    twin.principal.id = PrincipalId::from_bytes(id(other));
    if let Resource::Artifact(artifact) = &mut twin.resource {
        artifact.id = ArtifactId::from_bytes(id(other));
    }
    if query.resource.workspace().is_some() {
        let elsewhere = Scope::Workspace(WorkspaceId::from_bytes(id(9)));
        twin.principal.roles.push(Held::new(Role::Auditor, elsewhere));
    }
    if Likeness::of(set, query) != Likeness::of(set, &twin) {
        return Ok(false);
    }
    let told = |query: &Query| {
        let Answer { allowed, visible, policies, reasons, near_misses, advice, approval, code, errors, .. } =
            decide(set, query);
        (allowed, visible, policies, reasons, near_misses, advice, approval, code, errors)
    };
    prop_assert_eq!(told(query), told(&twin));
    prop_assert_eq!(standing(set, query), standing(set, &twin));
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_index_answers_as_the_whole_set(set in a_set(), queries in vec(a_query(), 16)) {
        for query in queries {
            let whole = unsliced(&set, &query);
            // What is asked often is prepared otherwise.
            for _ in 0..=2 * WARM {
                prop_assert_eq!(&decide(&set, &query), &whole);
            }
        }
    }

    /// Forbids are held to it too, though the index does not use it for them.
    #[test]
    fn what_a_guard_rules_out_cedar_finds_false(set in a_set(), queries in vec(a_query(), 16)) {
        for query in queries {
            let facts = facts_of(&set, &query);
            let slice = Slice::build(&set.names, &facts, Clock::Told).unwrap();
            for at in set.all() {
                let entry = set.at(at).unwrap();
                if entry.guard().rules_out(&facts) {
                    let alone = PolicySet::from_policies([entry.policy.clone()]).unwrap();
                    let response = Authorizer::new().is_authorized(&slice.request, &alone, &slice.entities);
                    let found = response.diagnostics().errors().count() + response.diagnostics().reason().count();
                    prop_assert_eq!(found, 0, "{}", entry.text);
                }
            }
        }
    }

    #[test]
    fn questions_that_are_alike_have_one_answer(set in a_set(), queries in vec(a_query(), 16), other in 0..4_u8) {
        for query in queries {
            one_answer_if_alike(&set, &query, other)?;
            // Nobody's approval is their own; and the baseline names nobody.
            let mut alone = query.clone();
            alone.context.approvals.clear();
            prop_assert!(one_answer_if_alike(baseline(), &alone, other)?);
        }
    }

    #[test]
    fn how_somebody_stands_is_what_is_decided(set in a_set(), queries in vec(a_query(), 8)) {
        for query in queries {
            let (answer, stands) = (decide(&set, &query), standing(&set, &query));
            prop_assert_eq!(stands.visible, answer.visible);
            let permits: Vec<String> = stands.grants.iter().map(|grant| grant.policy.clone()).collect();
            if answer.allowed {
                prop_assert!(stands.may && stands.conditions.is_empty());
                prop_assert_eq!(permits, answer.policies);
            } else {
                prop_assert_eq!(stands.may, !answer.advice.is_empty());
                prop_assert_eq!(&stands.conditions, &answer.advice);
                prop_assert_eq!(permits.is_empty(), !stands.may);
            }
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
        let slice = Slice::build(&baseline().names, &facts, Clock::Told).unwrap();
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
        let build = |facts: &Facts| Slice::build(&names, facts, Clock::Told).unwrap().entities;
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
        let slice = Slice::build(&baseline().names, &facts, Clock::Told).unwrap();
        let whole = baseline().narrowed(&baseline().all());
        if !evaluate(baseline(), &whole.policies, &slice).allowed {
            let entities: Value = serde_json::from_slice::<Value>(&record.slice).unwrap().get("entities").unwrap().clone();
            let context: Value = serde_json::from_slice(&record.context).unwrap();
            for poorer in poorer_slices(&slice, &entities, &context) {
                prop_assert!(!evaluate(baseline(), &whole.policies, &poorer).allowed, "{:?}", poorer);
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

/// 500 policies: the baseline, and two for each of many workspaces, the one asked about among them.
fn many(condition: &str) -> Set {
    let policy = |n: u8, place: u8| {
        let place = hex::encode(id(place));
        let effect = if n.is_multiple_of(2) { "permit" } else { "forbid" };
        format!(
            "@id(\"own-{place:.2}-{n}\") {effect} (principal, action == Action::\"read\", \
             resource is Artifact in Workspace::\"{place}\") when {{ {condition} }};\n"
        )
    };
    let own = (0..=u8::MAX).flat_map(|place| [policy(0, place), policy(1, place)]);
    let text: String = own.take(500 - baseline().ids().count()).collect();
    let mut sources = Set::baseline_sources();
    sources.push(Source { name: "own".to_owned(), text });
    Set::load(&sources).unwrap()
}

fn plain_query() -> Query {
    Query {
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
            held: false,
            residency: Vec::new(),
        }),
        context: Context::new(Timestamp::from_millis(0), Mode::Rehearsal),
        salt: id(0),
    }
}

#[test]
fn of_500_policies_those_of_the_place_are_asked() {
    let set = many("context.task");
    let facts = facts_of(&set, &plain_query());
    assert_eq!(set.ids().count(), 500);
    let baseline = baseline().candidates(&facts.target()).len();
    assert_eq!(set.candidates(&facts.target()).len(), baseline + 2);
    for _ in 0..=WARM {
        set.speaking(&facts);
    }
    assert_eq!(set.speaking(&facts).len(), baseline + 1, "the permit wants an open task, and there is none");
}

#[test]
fn of_500_policies_that_err_those_that_are_asked_deny_and_are_named() {
    let set = many("principal.clearance * 4611686018427387904 > 0");
    for _ in 0..=2 * WARM {
        let answer = decide(&set, &plain_query());
        assert!(!answer.allowed && answer.visible, "{answer:?}");
        let named: Vec<&str> = answer.near_misses.iter().map(|miss| miss.policy.as_str()).collect();
        assert_eq!(named, ["own-03-0", "own-03-1"]);
        assert_eq!(answer.errors.len(), 2);
        assert_eq!(answer.near_misses[0].held, "13 of 15");
        assert_eq!((answer.code, answer.advice.len()), (Some(Code::Denied), 0));
    }
    let mut elsewhere = plain_query();
    if let Resource::Artifact(artifact) = &mut elsewhere.resource {
        artifact.workspace = WorkspaceId::from_bytes(id(250));
    }
    assert!(decide(&set, &elsewhere).allowed, "policies of other places do not count");
    elsewhere.principal.roles.clear();
    let hidden = decide(&many("principal.clearance * 4611686018427387904 > 0"), &elsewhere);
    assert!(!hidden.visible && hidden.near_misses.is_empty());
}

#[test]
fn a_value_of_the_wrong_type_denies() {
    let query = plain_query();
    let facts = facts_of(baseline(), &query);
    let slice = Slice::build(&baseline().names, &facts, Clock::Told).unwrap();
    let whole = baseline().narrowed(&baseline().all());
    assert!(evaluate(baseline(), &whole.policies, &slice).allowed);
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
        let outcome = evaluate(baseline(), &whole.policies, &Slice { request, entities: Arc::new(entities) });
        assert!(!outcome.allowed && !outcome.errors.is_empty(), "{to}");
    }
}
