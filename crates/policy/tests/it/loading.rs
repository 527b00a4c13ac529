//! What a set must be to be loaded.

use policy::{LoadError, Pins, Set, Severity, Source};

fn source(text: &str) -> Source {
    Source { name: "own.cedar".to_owned(), text: text.to_owned() }
}

fn baseline_and(text: &str) -> Vec<Source> {
    let mut sources = Set::baseline_sources();
    sources.push(source(text));
    sources
}

const FINE: &str = "@id(\"fine\") permit (principal, action == Action::\"list\", resource);";

#[test]
fn the_baseline_loads_and_its_hash_depends_on_text_alone() {
    let set = Set::baseline().unwrap();
    let mut sources = Set::baseline_sources();
    sources.reverse();
    sources.iter_mut().for_each(|source| source.name.push('x'));
    assert_eq!(Set::load(&sources).unwrap().hash(), set.hash());
    let joined: String = sources.iter().map(|source| source.text.as_str()).collect::<Vec<_>>().join("\n// together\n");
    assert_eq!(Set::load(&[source(&joined)]).unwrap().hash(), set.hash());
    assert_ne!(Set::load(&baseline_and(FINE)).unwrap().hash(), set.hash());
    assert!(set.ids().is_sorted());
}

#[test]
fn the_hash_keeps_id_and_text_apart() {
    let of = |text: &str| Set::load_with(&[source(text)], Pins::Waived).unwrap().hash();
    assert_eq!(of(FINE), of(&format!("// a comment\n\n{FINE}\n")));
    assert_ne!(of(FINE), of(&FINE.replace("fine", "finer")));
    assert_ne!(of(FINE), of(&FINE.replace(", resource", ",  resource")));
    let two = [FINE, &FINE.replace("fine", "more")].join("\n");
    assert_ne!(of(&two), of(FINE));
}

#[test]
fn every_guardrail_of_the_baseline_is_pinned() {
    let ids: Vec<String> = Set::baseline().unwrap().ids().map(str::to_owned).collect();
    let mut pinned = 0;
    for (at, whole) in Set::baseline_sources().iter().enumerate() {
        for id in ids.iter().filter(|id| whole.text.contains(&format!("@id(\"{id}\")"))) {
            let mut sources = Set::baseline_sources();
            sources[at].text = whole.text.replace(&format!("@id(\"{id}\")"), &format!("@id(\"{id}-x\")"));
            let guardrail = whole.name.contains("guardrails");
            match Set::load(&sources) {
                Err(LoadError::Pinned { id: missing }) if guardrail => assert_eq!(&missing, id),
                Ok(_) if !guardrail => {}
                other => panic!("{id}: {:?}", other.map(|set| set.hash())),
            }
            pinned += usize::from(guardrail);
            assert!(Set::load_with(&sources, Pins::Waived).is_ok());
        }
    }
    assert_eq!(pinned, 23);
}

#[test]
fn a_guardrail_with_another_text_is_refused() {
    for (from, to) in [
        ("unless { principal.active };", "unless { true };"),
        ("unless { principal.active };", "unless { principal.active  };"),
        ("a suspended principal", "A suspended principal"),
        ("@code(\"gone\")", ""),
    ] {
        let mut sources = Set::baseline_sources();
        assert!(sources[0].text.contains(from));
        sources[0].text = sources[0].text.replacen(from, to, 1);
        assert!(matches!(Set::load(&sources), Err(LoadError::Pinned { .. })), "{to}");
    }
}

#[test]
fn what_is_not_sound_is_refused() {
    let of = |rule: &str, text: &str| match Set::load(&baseline_and(text)) {
        Err(LoadError::Invalid(findings)) => {
            assert!(findings.iter().all(|f| f.severity == Severity::Error), "{findings:?}");
            assert!(findings.iter().any(|f| f.rule == rule), "{rule} is not in {findings:?}");
        }
        other => panic!("{text}: {:?}", other.map(|set| set.hash())),
    };
    let permit = |id: &str, rest: &str| format!("@id(\"{id}\") permit (principal, action == Action::\"read\", {rest};");
    of("parse", "permit (principal, action, resource)");
    of("parse", "@id(\"x\") allow (principal, action, resource);");
    of("id", "permit (principal, action == Action::\"list\", resource);");
    of("id", &permit("", "resource)"));
    of("id", &permit("Big Id", "resource)"));
    of("id", &permit("clearance", "resource)"));
    of("id", &[FINE, FINE].join("\n"));
    of("template", "@id(\"t\") permit (principal == ?principal, action == Action::\"read\", resource);");
    of("approval", "@id(\"a\") @approval(\"no-such-rule\") forbid (principal, action == Action::\"read\", resource);");
    of("advice", "@id(\"a\") @advice(\"pray\") forbid (principal, action == Action::\"read\", resource);");
    of("schema", &permit("s", "resource) when { principal.clearence >= 1 }"));
    of("schema", &permit("s", "resource) when { principal.clearance == \"high\" }"));
    of("schema", &permit("s", "resource) when { context.nowhere }"));
    of("schema", &permit("s", "resource is Folder)"));
    of("schema", "@id(\"s\") permit (principal, action == Action::\"fly\", resource);");
    of("schema", "@id(\"s\") permit (principal in Role::\"writr\", action == Action::\"read\", resource);");
}

#[test]
fn sets_are_bounded() {
    let refused = |sources: &[Source]| matches!(Set::load_with(sources, Pins::Waived), Err(LoadError::TooLarge));
    assert!(refused(&[source(&" ".repeat(Set::MAX_LEN_BYTES + 1))]));
    assert!(refused(&vec![source(""); Set::MAX_SOURCES + 1]));
    let invalid = |text: &str| matches!(Set::load_with(&[source(text)], Pins::Waived), Err(LoadError::Invalid(_)));
    let long = format!("@id(\"x\") permit (principal, action, resource) when {{ {}true }};", "true && ".repeat(1100));
    assert!(invalid(&long));
    for (open, close) in [("(", ")"), ("[", "]"), ("{a:", "}")] {
        let nested = format!("{}1{}", open.repeat(70), close.repeat(70));
        assert!(invalid(&format!("@id(\"x\") permit (principal, action, resource) when {{ {nested} == 1 }};")));
    }
}

#[test]
fn the_longest_chains_that_are_read_do_not_exhaust_the_stack() {
    // Cedar unoptimised takes 20 KiB for a level of a tree; as built here, a thread of 2 MiB has room too.
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(read_the_longest_chains);
    thread.unwrap().join().unwrap();
}

fn read_the_longest_chains() {
    for (piece, last) in [
        ("context.solo && ", "context.solo"),
        ("context.solo || ", "context.solo"),
        ("true && ", "true"),
        ("1 + ", "1 == 1"),
        ("if context.solo then false else ", "true"),
        ("if true then true else ", "true"),
        ("!!!!", "true"),
        ("!", "true"),
        ("-", "1 == 1"),
        ("principal in ", "principal"),
        ("(", "true"),
        ("[", "1"),
        ("(context.", "true"),
    ] {
        for times in [30, 41, 60, 63, 90, 120, 4000] {
            let close = match piece {
                "(" => ")",
                "[" => "]",
                _ => "",
            }
            .repeat(times);
            let chain = piece.repeat(times) + last + &close;
            let text =
                format!("@id(\"x\") permit (principal, action == Action::\"list\", resource) when {{ {chain} }};");
            // Taken or refused, as Cedar likes; alive in any case.
            drop(Set::load_with(&[source(&text)], Pins::Waived));
            drop(policy::lint(&[source(&text)], api::terms::Timestamp::from_millis(0)));
        }
    }
}
