//! Which program found a policy set sound: another one's word counts for nothing.

use super::{Engine, assemble_rules, load_rules};
use crate::datastore::Transaction;
use crate::error::Error;
use crate::rows::{PolicySet, PolicySource};
use crate::vault::{self, InitOptions, OpenOptions, RootChoice, RootUnlock};
use api::terms::Mode;
use policy::Set;
use std::path::Path;

/// Parses, but asks for an attribute that the schema does not know.
const UNSOUND: &str = "@id(\"own\") @reason(\"nothing leaves today\") @owner(\"olivia\") \
                       forbid (principal, action == Action::\"read\", resource is Artifact) when { resource.nonsense == 1 };";
const SOUND: &str = "@id(\"own\") @reason(\"nothing leaves today\") @owner(\"olivia\") \
                     forbid (principal, action == Action::\"read\", resource is Artifact);";

fn opened(dir: &Path) -> Engine {
    let (vault, key, anchor) = (vault::draw_id().unwrap(), dir.join("key"), dir.join("anchor"));
    let root = RootChoice::Keyfile { path: key.clone() };
    let (dir, owner) = (dir.join("vault"), "olivia".parse().unwrap());
    let init = InitOptions {
        dir: dir.clone(),
        vault,
        mode: Mode::Solo,
        root,
        anchor: anchor.clone(),
        owner,
        crypto: None,
        recovery: None,
    };
    vault::init(&init).unwrap();
    vault::open::open(&OpenOptions::new(dir, RootUnlock::Keyfile(key), anchor)).unwrap()
}

/// Writes a set as a keeper does, with every MAC right, and reads it.
fn read_back(engine: &Engine, text: &str, validator: &str, hash: &str) -> Result<Set, Error> {
    let guard = &engine.keys.guard;
    let source = PolicySource { name: "own.cedar".into(), text: text.into() };
    let write = |tx: &mut dyn Transaction| {
        let before: PolicySet = guard.expect(tx, &PolicySet::row_id())?;
        let ticket = tx.ticket()?;
        if before.sources.is_empty() {
            guard.insert(tx, &source, ticket)?;
        } else {
            guard.update(tx, &source, ticket)?;
        }
        let sources = vec![source.name.clone()];
        let row = PolicySet { hash: hash.into(), validator: validator.into(), sources, ..before };
        guard.update(tx, &row, ticket)?;
        Ok::<_, Error>(())
    };
    engine.store.write(write).unwrap();
    engine.store.read(|tx| load_rules(&engine.keys, tx))
}

#[test]
fn a_policy_set_that_another_program_validated_is_validated_again() {
    let dir = tempfile::tempdir().unwrap();
    let engine = opened(dir.path());
    let ours = Set::validator();
    let hash = assemble_rules(&[PolicySource { name: "own.cedar".into(), text: SOUND.into() }]).unwrap().hash();
    let hash = hash.to_string();
    for validator in ["", "cedar-policy 4.0.0, schema 00", &format!("{ours} "), &ours] {
        assert_eq!(read_back(&engine, SOUND, validator, &hash).unwrap().hash().to_string(), hash, "{validator}");
        let other = "0".repeat(64);
        assert!(matches!(read_back(&engine, SOUND, validator, &other), Err(Error::Altered { .. })), "{validator}");
        // With our own mark only its form is looked at, and then its hash.
        let refused = read_back(&engine, UNSOUND, validator, &hash).err();
        let validated = matches!(&refused, Some(Error::Policy(why)) if why.contains("nonsense"));
        assert_eq!(validated, *validator != ours, "{validator}: {refused:?}");
    }
}
