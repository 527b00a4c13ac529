//! The store against a map: any list of transactions leaves both the same, committed or not.

use super::{Fixture, on_both_engines};
use keeper::datastore::{Datastore, Error};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::collections::BTreeMap;

on_both_engines! { claims: the_store_behaves_like_a_map }

/// What one statement does.
#[derive(Debug, Clone)]
enum Step {
    Insert(u8, i64),
    Upsert(u8, i64),
    Update(u8, i64),
    Delete(u8),
    DeletePage(i64, u8),
    Page(u8, u8),
}

/// One transaction.
#[derive(Debug, Clone)]
struct Work {
    steps: Vec<Step>,
    commits: bool,
}

type Model = BTreeMap<u8, i64>;

/// What a step answers: rows as (key, value), or a refusal.
type Answer = Result<Vec<(u8, i64)>, ()>;

fn step() -> impl Strategy<Value = Step> {
    let key = 0..12_u8;
    let value = -3..40_i64;
    prop_oneof![
        (key.clone(), value.clone()).prop_map(|(k, v)| Step::Insert(k, v)),
        (key.clone(), value.clone()).prop_map(|(k, v)| Step::Upsert(k, v)),
        (key.clone(), value.clone()).prop_map(|(k, v)| Step::Update(k, v)),
        key.clone().prop_map(Step::Delete),
        (value, 0..4_u8).prop_map(|(v, n)| Step::DeletePage(v, n)),
        (key, 0..6_u8).prop_map(|(k, n)| Step::Page(k, n)),
    ]
}

fn work() -> impl Strategy<Value = Work> {
    (prop::collection::vec(step(), 1..6), prop::bool::weighted(0.8))
        .prop_map(|(steps, commits)| Work { steps, commits })
}

/// The model's answer; values below zero are refused by the schema's CHECK.
fn imagine(model: &mut Model, step: &Step) -> Answer {
    match *step {
        Step::Insert(key, value) => {
            if model.contains_key(&key) || value < 0 {
                return Err(());
            }
            model.insert(key, value);
            Ok(vec![(key, value)])
        }
        Step::Upsert(key, value) => {
            let sum = model.get(&key).copied().unwrap_or(0) + value;
            // The row to insert is checked before the conflict is seen.
            if value < 0 || sum < 0 {
                return Err(());
            }
            model.insert(key, sum);
            Ok(vec![(key, sum)])
        }
        Step::Update(key, value) => match model.get_mut(&key) {
            None => Ok(vec![]),
            Some(_) if value < 0 => Err(()),
            Some(old) => {
                *old = value;
                Ok(vec![(key, value)])
            }
        },
        Step::Delete(key) => Ok(model.remove(&key).map(|value| (key, value)).into_iter().collect()),
        Step::DeletePage(below, count) => {
            let mut found: Vec<_> = model.iter().filter(|(_, value)| **value < below).map(|(k, v)| (*k, *v)).collect();
            found.sort_by_key(|(key, value)| (*value, *key));
            found.truncate(count.into());
            model.retain(|key, _| !found.iter().any(|(gone, _)| gone == key));
            found.sort_unstable();
            Ok(found)
        }
        Step::Page(after, count) => {
            Ok(model.range(after + 1..).take(count.into()).map(|(key, value)| (*key, *value)).collect())
        }
    }
}

fn execute(tx: &mut dyn keeper::datastore::Transaction, step: &Step) -> Result<Vec<(u8, i64)>, Error> {
    let rows = match *step {
        Step::Insert(key, value) => tx.query(
            "INSERT INTO epoch (subject, kind, value) VALUES ($1, 'k', $2) RETURNING subject, value",
            &[(&[key]).into(), value.into()],
        ),
        Step::Upsert(key, value) => tx.query(
            "INSERT INTO epoch (value, kind, subject) VALUES ($2, 'k', $1) ON CONFLICT (subject) \
             DO UPDATE SET value = epoch.value + excluded.value RETURNING subject, value",
            &[(&[key]).into(), value.into()],
        ),
        Step::Update(key, value) => tx.query(
            "UPDATE epoch SET value = $1 WHERE subject = $2 RETURNING subject, value",
            &[value.into(), (&[key]).into()],
        ),
        Step::Delete(key) => {
            tx.query("DELETE FROM epoch WHERE subject = $1 RETURNING subject, value", &[(&[key]).into()])
        }
        Step::DeletePage(below, count) => tx.query(
            "DELETE FROM epoch WHERE subject IN (SELECT subject FROM epoch WHERE value < $1 ORDER BY value, subject LIMIT $2) \
             RETURNING subject, value",
            &[below.into(), i64::from(count).into()],
        ),
        Step::Page(after, count) => tx.query(
            "SELECT subject, value FROM epoch WHERE subject > $1 ORDER BY subject LIMIT $2",
            &[(&[after]).into(), i64::from(count).into()],
        ),
    }?;
    let mut found =
        rows.iter().map(|row| Ok((row.array::<1>(0)?[0], row.integer(1)?))).collect::<Result<Vec<_>, Error>>()?;
    if matches!(step, Step::DeletePage(..)) {
        found.sort_unstable();
    }
    Ok(found)
}

enum Stopped {
    Refused,
    GivenUp(Vec<Vec<(u8, i64)>>),
    Store(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        match error {
            Error::Constraint { .. } => Self::Refused,
            other => Self::Store(other),
        }
    }
}

/// Runs one transaction on both and compares every answer.
fn compare(store: &Datastore, model: &mut Model, work: &Work) -> Result<(), TestCaseError> {
    let mut next = model.clone();
    let expected: Result<Vec<_>, ()> = work.steps.iter().map(|step| imagine(&mut next, step)).collect();
    let found = store.write(|tx| {
        let answers = work.steps.iter().map(|step| execute(tx, step)).collect::<Result<Vec<_>, _>>()?;
        if work.commits { Ok(answers) } else { Err(Stopped::GivenUp(answers)) }
    });
    match (found, expected) {
        (Ok(found), Ok(expected)) => {
            prop_assert_eq!(found, expected);
            *model = next;
        }
        (Err(Stopped::GivenUp(found)), Ok(expected)) => prop_assert_eq!(found, expected),
        (Err(Stopped::Refused), Err(())) => {}
        (Err(Stopped::Store(error)), _) => return Err(TestCaseError::fail(format!("{error:?}"))),
        (found, expected) => {
            return Err(TestCaseError::fail(format!("refused: {} against {expected:?}", found.is_err())));
        }
    }
    let all = "SELECT subject, value FROM epoch ORDER BY subject";
    let rows = store.read(|tx| tx.query(all, &[])).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let state: Model = rows.iter().map(|row| (row.array::<1>(0).unwrap()[0], row.integer(1).unwrap())).collect();
    prop_assert_eq!(&state, &*model);
    Ok(())
}

mod claims {
    use super::*;

    pub fn the_store_behaves_like_a_map(f: &Fixture) -> crate::datastore::Outcome {
        let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
        runner.run(&prop::collection::vec(work(), 1..12), |works| {
            f.store.write(|tx| tx.query("DELETE FROM epoch", &[])).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let mut model = Model::new();
            works.iter().try_for_each(|work| compare(&f.store, &mut model, work))
        })?;
        Ok(())
    }
}
