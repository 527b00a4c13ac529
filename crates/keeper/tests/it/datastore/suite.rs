//! Conformance: what domain code may rely on, whichever engine is below.

use super::on_both_engines;

on_both_engines! { claims:
    values_come_back_as_they_went_in
    typed_nulls_go_in_and_compare
    parameters_bind_by_number_not_by_position
    a_parameter_may_be_used_twice
    an_upsert_adds_and_returns
    an_ignored_duplicate_returns_nothing
    pages_by_row_value_meet_every_row_once
    a_walk_meets_every_row_once
    a_walk_ends_where_a_row_is_refused
    only_a_select_is_walked_through
    text_is_ordered_by_bytes
    deletion_takes_a_page_through_a_sub_select
    many_rows_go_in_at_once
    changed_counts_only_changes
    a_duplicate_key_is_a_unique_constraint
    a_missing_reference_is_a_foreign_key_constraint
    a_null_is_a_not_null_constraint
    a_failed_check_is_a_check_constraint
    a_value_of_another_type_is_refused
    bad_sql_is_a_statement_error
    a_failed_statement_ends_the_transaction
    a_failure_that_the_body_hides_is_told
    an_error_of_the_body_leaves_no_trace
    a_panic_leaves_no_trace_and_the_store_usable
    what_is_written_is_there_after_reopening
    a_read_transaction_cannot_write
    a_read_transaction_sees_one_snapshot
    tickets_rise_and_are_not_repeated
    locks_give_the_rows
    only_a_select_locks
    transactions_do_not_nest
    migrations_run_once
    a_changed_migration_is_refused
    a_newer_schema_is_refused
    a_gap_in_the_migrations_is_refused
    a_failed_migration_leaves_no_trace
    two_first_migrations_at_once_both_succeed
}

mod claims {
    use crate::datastore::{Fixture, Outcome, SCHEMA};
    use keeper::datastore::{
        ConstraintKind, Datastore, Error, Fault, Lock, Migration, Row, Transaction, Value, tuples,
    };
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const UPSERT: &str = "INSERT INTO epoch (value, kind, subject) VALUES ($3, $2, $1) ON CONFLICT (subject) \
         DO UPDATE SET value = epoch.value + excluded.value, kind = $2 RETURNING value, kind, subject";

    fn put(store: &Datastore, key: &[u8], at: i64) -> Result<(), Error> {
        store.write(|tx| {
            tx.query(
                "INSERT INTO command (key, answer, at) VALUES ($1, $2, $3)",
                &[key.into(), key.into(), at.into()],
            )?;
            Ok(())
        })
    }

    fn count(store: &Datastore) -> Result<i64, Error> {
        store.read(|tx| tx.query("SELECT CAST(COUNT(*) AS BIGINT) FROM command", &[])?.one()?.integer(0))
    }

    fn refused(f: &Fixture, sql: &str, values: &[Value<'_>]) -> Error {
        f.store.write(|tx| tx.query(sql, values)).unwrap_err()
    }

    pub fn values_come_back_as_they_went_in(f: &Fixture) -> Outcome {
        let bytes: Vec<u8> = (0..=255).collect();
        let sql = "SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), $3, $4, $5, $6";
        let text = "naïve \u{1F510} '\"$1;--";
        let values = [i64::MIN.into(), i64::MAX.into(), text.into(), "".into(), (&bytes).into(), (&[]).into()];
        let row = f.store.read(|tx| tx.query(sql, &values)?.one())?;
        assert_eq!((row.integer(0)?, row.integer(1)?), (i64::MIN, i64::MAX));
        assert_eq!((row.text(2)?, row.text(3)?), (text, ""));
        assert_eq!((row.bytes(4)?, row.bytes(5)?), (&bytes[..], &[][..]));
        assert_eq!(row.array::<256>(4)?.as_slice(), bytes);
        assert!(row.text(0).is_err() && row.integer(2).is_err() && row.bytes(3).is_err() && row.integer(6).is_err());
        assert_eq!(row.width(), 6);
        Ok(())
    }

    pub fn typed_nulls_go_in_and_compare(f: &Fixture) -> Outcome {
        let insert = "INSERT INTO entry (id, at, kind, subject) VALUES ($1, $2, $3, $4)";
        f.store.write(|tx| tx.query(insert, &[(b"a").into(), 1.into(), Value::Text(None), Value::Bytes(None)]))?;
        let select = "SELECT kind, subject, at FROM entry WHERE ($1 IS NULL OR kind = $1) AND ($2 IS NULL OR at = $2)";
        let row = f.store.read(|tx| tx.query(select, &[Value::Text(None), Value::Integer(None)])?.one())?;
        assert_eq!((row.text_or_null(0)?, row.bytes_or_null(1)?, row.integer_or_null(2)?), (None, None, Some(1)));
        assert!(matches!(row.text(0), Err(Error::Corrupt(_))));
        let none = f.store.read(|tx| tx.query(select, &["x".into(), Value::Integer(None)]))?;
        assert!(none.is_empty());
        Ok(())
    }

    pub fn parameters_bind_by_number_not_by_position(f: &Fixture) -> Outcome {
        let values = ["one".into(), "two".into(), "three".into()];
        let row = f.store.read(|tx| tx.query("SELECT $3, $1, $2", &values)?.one())?;
        assert_eq!((row.text(0)?, row.text(1)?, row.text(2)?), ("three", "one", "two"));
        Ok(())
    }

    pub fn a_parameter_may_be_used_twice(f: &Fixture) -> Outcome {
        let row = f.store.read(|tx| tx.query("SELECT $2, $1, $2", &["a".into(), "b".into()])?.one())?;
        assert_eq!((row.text(0)?, row.text(1)?, row.text(2)?), ("b", "a", "b"));
        Ok(())
    }

    pub fn an_upsert_adds_and_returns(f: &Fixture) -> Outcome {
        let add = |kind: &str, value: i64| {
            f.store.write(|tx| tx.query(UPSERT, &[b"s".into(), kind.into(), value.into()])?.one())
        };
        assert_eq!(add("grant", 5)?.integer(0)?, 5);
        let row = add("key", 7)?;
        assert_eq!((row.integer(0)?, row.text(1)?, row.bytes(2)?), (12, "key", &b"s"[..]));
        Ok(())
    }

    pub fn an_ignored_duplicate_returns_nothing(f: &Fixture) -> Outcome {
        let sql =
            "INSERT INTO command (key, answer, at) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING RETURNING key";
        let once = || f.store.write(|tx| tx.query(sql, &[b"k".into(), Value::Bytes(None), 1.into()]));
        let (first, second) = (once()?, once()?);
        assert_eq!((first.len(), first.changed()), (1, 1));
        assert_eq!((second.len(), second.changed()), (0, 0));
        let select = "INSERT INTO command (key, answer, at) SELECT key, answer, at FROM command WHERE TRUE ON CONFLICT (key) DO NOTHING";
        assert_eq!(f.store.write(|tx| tx.query(select, &[]))?.changed(), 0);
        Ok(())
    }

    pub fn pages_by_row_value_meet_every_row_once(f: &Fixture) -> Outcome {
        let insert = "INSERT INTO entry (id, at, kind) VALUES ($1, $2, $3)";
        f.store.write(|tx| -> Result<(), Error> {
            for n in 0..25_u8 {
                tx.query(insert, &[(&[n ^ 0x95]).into(), i64::from(n / 4).into(), "k".into()])?;
            }
            Ok(())
        })?;
        let page =
            "SELECT id, at FROM entry WHERE (at, id) > ($1, $2) AND ($3 IS NULL OR kind = $3) ORDER BY at, id LIMIT $4";
        let (mut at, mut id, mut seen) = (-1, Vec::new(), Vec::new());
        loop {
            let values = [at.into(), (&id).into(), Value::Text(Some("k")), 4.into()];
            let rows = f.store.read(|tx| tx.query(page, &values))?;
            let Some(last) = rows.iter().last() else { break };
            (at, id) = (last.integer(1)?, last.bytes(0)?.to_vec());
            for row in &rows {
                seen.push((row.integer(1)?, row.bytes(0)?.to_vec()));
            }
        }
        assert_eq!(seen.len(), 25);
        assert!(seen.is_sorted());
        Ok(())
    }

    pub fn a_walk_meets_every_row_once(f: &Fixture) -> Outcome {
        // More than a page of any engine.
        let keys: Vec<[u8; 2]> = (0..700_u16).map(|n| n.wrapping_mul(40_503).to_be_bytes()).collect();
        let sql = format!("INSERT INTO command (key, at) VALUES {}", tuples(keys.len(), 2));
        let values: Vec<Value<'_>> = keys.iter().flat_map(|key| [key.into(), 7.into()]).collect();
        f.store.write(|tx| tx.query(&sql, &values))?;
        for _ in 0..2 {
            let mut seen = f.store.read(|tx| {
                let mut seen = Vec::new();
                let mut show = |row: &Row| {
                    seen.push((row.array(0)?, row.integer(1)?));
                    Ok(())
                };
                tx.walk("SELECT key, at FROM command", &mut show)?;
                // One may follow another.
                tx.walk("SELECT key, at FROM command WHERE at = 8", &mut show)?;
                Ok::<_, Error>(seen)
            })?;
            let mut all: Vec<([u8; 2], i64)> = keys.iter().map(|key| (*key, 7)).collect();
            seen.sort_unstable();
            all.sort_unstable();
            assert_eq!(seen, all);
        }
        Ok(())
    }

    pub fn a_walk_ends_where_a_row_is_refused(f: &Fixture) -> Outcome {
        for key in [b"a", b"b", b"c"] {
            put(&f.store, key, 1)?;
        }
        let refused = f.store.read(|tx| {
            let mut shown = 0;
            let walked = tx.walk("SELECT key FROM command", &mut |row| {
                shown += 1;
                if shown == 2 { row.integer(0).map(|_| ()) } else { Ok(()) }
            });
            assert!(matches!(walked, Err(Error::Corrupt(_))), "{walked:?}");
            assert_eq!(shown, 2);
            walked
        });
        assert!(matches!(refused, Err(Error::Corrupt(_))), "{refused:?}");
        assert_eq!(count(&f.store)?, 3);
        Ok(())
    }

    pub fn only_a_select_is_walked_through(f: &Fixture) -> Outcome {
        for sql in
            ["DELETE FROM command", "SELECT key FROM command WHERE at = $1", "WITH a AS (SELECT 1) SELECT * FROM a"]
        {
            let refused = f.store.write(|tx| tx.walk(sql, &mut |_| Ok(())));
            assert!(matches!(refused, Err(Error::Misuse(_))), "{sql} {refused:?}");
        }
        Ok(())
    }

    pub fn text_is_ordered_by_bytes(f: &Fixture) -> Outcome {
        let words = ["Z", "a", "é", "B", "_", "-", "aa", "A b", "Ab", "\u{1F510}"];
        let sql = format!("INSERT INTO epoch (subject, kind, value) VALUES {}", tuples(words.len(), 3));
        let values: Vec<Value<'_>> =
            words.iter().flat_map(|word| [word.as_bytes().into(), (*word).into(), 0.into()]).collect();
        f.store.write(|tx| tx.query(&sql, &values))?;
        let rows = f.store.read(|tx| tx.query("SELECT kind FROM epoch ORDER BY kind", &[]))?;
        let found: Vec<_> = rows.iter().map(|row| row.text(0).unwrap().to_owned()).collect();
        let mut sorted = words.map(str::to_owned);
        sorted.sort();
        assert_eq!(found, sorted);
        Ok(())
    }

    pub fn deletion_takes_a_page_through_a_sub_select(f: &Fixture) -> Outcome {
        for n in 0..6_u8 {
            put(&f.store, &[n], n.into())?;
        }
        let sql = "DELETE FROM command WHERE key IN (SELECT key FROM command WHERE at < $1 ORDER BY at, key LIMIT $2) RETURNING key";
        let rows = f.store.write(|tx| tx.query(sql, &[5.into(), 3.into()]))?;
        assert_eq!((rows.len(), rows.changed(), count(&f.store)?), (3, 3, 3));
        Ok(())
    }

    pub fn many_rows_go_in_at_once(f: &Fixture) -> Outcome {
        let keys: Vec<[u8; 4]> = (0..2000_u32).map(u32::to_be_bytes).collect();
        let sql = format!("INSERT INTO command (key, answer, at) VALUES {} RETURNING key, at", tuples(keys.len(), 3));
        let values: Vec<Value<'_>> =
            keys.iter().zip(0..).flat_map(|(key, at)| [key.into(), key.into(), Value::from(at)]).collect();
        let rows = f.store.write(|tx| tx.query(&sql, &values))?;
        assert_eq!(rows.changed(), 2000);
        for row in &rows {
            assert_eq!(i64::from(u32::from_be_bytes(row.array(0)?)), row.integer(1)?);
        }
        Ok(())
    }

    pub fn changed_counts_only_changes(f: &Fixture) -> Outcome {
        put(&f.store, b"a", 1)?;
        put(&f.store, b"b", 1)?;
        let seen = f.store.write(|tx| -> Result<_, Error> {
            let update = tx.query("UPDATE command SET at = at + 1 WHERE at = $1", &[1.into()])?.changed();
            let select = tx.query("SELECT key FROM command", &[])?.changed();
            let none = tx.query("DELETE FROM command WHERE at = $1", &[9.into()])?.changed();
            Ok((update, select, none))
        })?;
        assert_eq!(seen, (2, 0, 0));
        Ok(())
    }

    pub fn a_duplicate_key_is_a_unique_constraint(f: &Fixture) -> Outcome {
        put(&f.store, b"secret-key", 1)?;
        let error = put(&f.store, b"secret-key", 2).unwrap_err();
        assert!(error.is_duplicate() && error.fault() == Fault::Caller, "{error:?}");
        assert!(!error.to_string().contains("secret"), "no row value in a message: {error}");
        Ok(())
    }

    fn constraint(error: &Error) -> Option<ConstraintKind> {
        match error {
            Error::Constraint { kind, .. } => Some(*kind),
            _ => None,
        }
    }

    pub fn a_missing_reference_is_a_foreign_key_constraint(f: &Fixture) -> Outcome {
        let error = refused(f, "INSERT INTO entry (id, at, subject) VALUES ($1, 1, $1)", &[b"x".into()]);
        assert_eq!(constraint(&error), Some(ConstraintKind::ForeignKey), "{error:?}");
        Ok(())
    }

    pub fn a_null_is_a_not_null_constraint(f: &Fixture) -> Outcome {
        let sql = "INSERT INTO epoch (subject, kind, value) VALUES ($1, $2, 0)";
        let error = refused(f, sql, &[b"x".into(), Value::Text(None)]);
        assert_eq!(constraint(&error), Some(ConstraintKind::NotNull), "{error:?}");
        let error = refused(f, sql, &[Value::Bytes(None), "kind".into()]);
        assert_eq!(constraint(&error), Some(ConstraintKind::NotNull), "{error:?}");
        Ok(())
    }

    pub fn a_failed_check_is_a_check_constraint(f: &Fixture) -> Outcome {
        let error = refused(f, UPSERT, &[b"x".into(), "kind".into(), (-1).into()]);
        assert_eq!(constraint(&error), Some(ConstraintKind::Check), "{error:?}");
        Ok(())
    }

    pub fn a_value_of_another_type_is_refused(f: &Fixture) -> Outcome {
        let error = refused(f, "INSERT INTO command (key, at) VALUES ($1, 1)", &["0012".into()]);
        assert_eq!(constraint(&error), Some(ConstraintKind::Type), "{error:?}");
        let error = refused(f, "INSERT INTO command (key, at) VALUES ($1, $2)", &[b"k".into(), "twelve".into()]);
        assert_eq!(constraint(&error), Some(ConstraintKind::Type), "{error:?}");
        Ok(())
    }

    pub fn bad_sql_is_a_statement_error(f: &Fixture) -> Outcome {
        for sql in ["SELECT nothing FROM nowhere", "SELECT (1", "INSERT INTO epoch"] {
            let error = refused(f, sql, &[]);
            assert!(matches!(error, Error::Statement(_)) && error.fault() == Fault::Bug, "{sql}: {error:?}");
        }
        for sql in ["BEGIN", "SELECT 1; SELECT 2", "SELECT \"x\"", "SELECT 1::bigint", "PRAGMA journal_mode"] {
            assert!(matches!(refused(f, sql, &[]), Error::Misuse(_)), "{sql}");
        }
        Ok(())
    }

    pub fn a_failed_statement_ends_the_transaction(f: &Fixture) -> Outcome {
        put(&f.store, b"a", 1)?;
        let again = f.store.write(|tx| -> Result<(), Error> {
            let insert = "INSERT INTO command (key, at) VALUES ($1, 1)";
            tx.query(insert, &[b"b".into()])?;
            let first = tx.query(insert, &[b"a".into()]).unwrap_err();
            let second = tx.query("SELECT 1", &[]).unwrap_err();
            assert_eq!(first, second);
            assert_eq!(tx.ticket().unwrap_err(), first);
            Err(second)
        });
        assert!(again.unwrap_err().is_duplicate());
        assert_eq!(count(&f.store)?, 1);
        Ok(())
    }

    pub fn a_failure_that_the_body_hides_is_told(f: &Fixture) -> Outcome {
        put(&f.store, b"a", 1)?;
        let hidden = f.store.write(|tx| -> Result<(), Error> {
            let insert = "INSERT INTO command (key, at) VALUES ($1, 1)";
            tx.query(insert, &[b"b".into()])?;
            let _ = tx.query(insert, &[b"a".into()]);
            Ok(())
        });
        assert!(hidden.unwrap_err().is_duplicate());
        assert_eq!(count(&f.store)?, 1);
        let hidden = f.store.read(|tx| -> Result<(), Error> {
            let _ = tx.query("SELECT nothing FROM nowhere", &[]);
            Ok(())
        });
        assert!(matches!(hidden, Err(Error::Statement(_))));
        Ok(())
    }

    #[derive(Debug, PartialEq)]
    enum Refusal {
        Denied,
        Store(Error),
    }

    impl From<Error> for Refusal {
        fn from(error: Error) -> Self {
            Self::Store(error)
        }
    }

    pub fn an_error_of_the_body_leaves_no_trace(f: &Fixture) -> Outcome {
        let denied = f.store.write(|tx| {
            tx.query("INSERT INTO command (key, at) VALUES ($1, 1)", &[b"a".into()])?;
            Err::<(), _>(Refusal::Denied)
        });
        assert_eq!(denied, Err(Refusal::Denied));
        assert_eq!(count(&f.store)?, 0);
        let own =
            f.store.write(|tx| match tx.query("INSERT INTO command (key, at) VALUES ($1, 1)", &["text".into()]) {
                Err(Error::Constraint { .. }) => Err(Refusal::Denied),
                other => Ok(other.map(|_| ())?),
            });
        assert_eq!(own, Err(Refusal::Denied), "the body's reading of a failure is kept");
        Ok(())
    }

    pub fn a_panic_leaves_no_trace_and_the_store_usable(f: &Fixture) -> Outcome {
        for _ in 0..12 {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                f.store.write(|tx| -> Result<(), Error> {
                    tx.query("INSERT INTO command (key, at) VALUES ($1, 1)", &[b"a".into()])?;
                    std::panic::resume_unwind(Box::new("the body"));
                })
            }));
            assert!(panicked.is_err());
        }
        assert_eq!(count(&f.store)?, 0);
        put(&f.store, b"a", 1)?;
        Ok(())
    }

    pub fn what_is_written_is_there_after_reopening(f: &Fixture) -> Outcome {
        put(&f.store, b"a", 1)?;
        let other = f.place.open();
        assert_eq!(count(&other)?, 1);
        put(&other, b"b", 1)?;
        assert_eq!(count(&f.store)?, 2);
        Ok(())
    }

    pub fn a_read_transaction_cannot_write(f: &Fixture) -> Outcome {
        let insert = "INSERT INTO command (key, at) VALUES ($1, 1)";
        let refused: [Result<(), Error>; 3] = [
            f.store.read(|tx| tx.query(insert, &[b"a".into()]).map(|_| ())),
            f.store.read(|tx| tx.ticket().map(|_| ())),
            f.store.read(|tx| tx.lock(Lock::Shared, "SELECT key FROM command", &[]).map(|_| ())),
        ];
        assert!(refused.iter().all(|result| matches!(result, Err(Error::Misuse(_)))), "{refused:?}");
        assert_eq!(count(&f.store)?, 0);
        Ok(())
    }

    pub fn a_read_transaction_sees_one_snapshot(f: &Fixture) -> Outcome {
        put(&f.store, b"a", 1)?;
        f.store.read(|tx| -> Result<(), Error> {
            let count = |tx: &mut dyn Transaction| tx.query("SELECT key FROM command", &[]).map(|rows| rows.len());
            let before = count(tx)?;
            std::thread::scope(|scope| scope.spawn(|| put(&f.store, b"b", 1)).join().unwrap())?;
            assert_eq!((before, count(tx)?), (1, 1));
            Ok(())
        })?;
        assert_eq!(count(&f.store)?, 2);
        Ok(())
    }

    pub fn tickets_rise_and_are_not_repeated(f: &Fixture) -> Outcome {
        let mut last = 0;
        for round in 0..20 {
            let drawn = f.store.write(|tx| -> Result<_, Error> { Ok((tx.ticket()?, tx.ticket()?)) })?;
            assert!(last < drawn.0 && drawn.0 < drawn.1, "{last} {drawn:?}");
            last = drawn.1;
            if round % 5 == 0 {
                let undone =
                    f.store.write(|tx| Err::<(), _>(tx.ticket().map_or_else(Refusal::Store, |_| Refusal::Denied)));
                assert_eq!(undone, Err(Refusal::Denied));
            }
        }
        let other = f.place.open();
        assert!(other.write(|tx| tx.ticket())? > last);
        Ok(())
    }

    pub fn locks_give_the_rows(f: &Fixture) -> Outcome {
        put(&f.store, b"a", 1)?;
        put(&f.store, b"b", 2)?;
        for strength in [Lock::Shared, Lock::Exclusive] {
            let sql = "SELECT key FROM command WHERE at > $1 ORDER BY key";
            let rows = f.store.write(|tx| tx.lock(strength, sql, &[0.into()]))?;
            assert_eq!(rows.iter().map(|row| row.bytes(0).unwrap()).collect::<Vec<_>>(), [b"a", b"b"]);
        }
        Ok(())
    }

    pub fn only_a_select_locks(f: &Fixture) -> Outcome {
        let refused = f.store.write(|tx| tx.lock(Lock::Shared, "DELETE FROM command", &[]));
        assert!(matches!(refused, Err(Error::Misuse(_))));
        Ok(())
    }

    pub fn transactions_do_not_nest(f: &Fixture) -> Outcome {
        let nested = f.store.write(|_| f.store.read(|tx| tx.query("SELECT 1", &[])));
        assert!(matches!(nested, Err(Error::Misuse(_))));
        put(&f.store, b"a", 1)?;
        Ok(())
    }

    pub fn migrations_run_once(f: &Fixture) -> Outcome {
        put(&f.store, b"a", 1)?;
        f.store.migrate(SCHEMA)?;
        f.place.open().migrate(SCHEMA)?;
        assert_eq!(count(&f.store)?, 1);
        Ok(())
    }

    pub fn a_changed_migration_is_refused(f: &Fixture) -> Outcome {
        let changed =
            [SCHEMA[0], Migration { statements: &["CREATE TABLE other (id BIGINT PRIMARY KEY)"], ..SCHEMA[1] }];
        assert_eq!(f.store.migrate(&changed), Err(Error::SchemaChanged { number: 2 }));
        let renamed = [Migration { name: "other", ..SCHEMA[0] }, SCHEMA[1]];
        assert_eq!(f.store.migrate(&renamed), Err(Error::SchemaChanged { number: 1 }));
        Ok(())
    }

    pub fn a_newer_schema_is_refused(f: &Fixture) -> Outcome {
        let refused = f.store.migrate(&SCHEMA[..1]);
        assert_eq!(refused, Err(Error::SchemaNewer { found: 2, known: 1 }));
        Ok(())
    }

    pub fn a_gap_in_the_migrations_is_refused(f: &Fixture) -> Outcome {
        assert!(matches!(f.store.migrate(&SCHEMA[1..]), Err(Error::Misuse(_))));
        let other = Migration { number: 3, name: "x", statements: &["PRAGMA journal_mode = DELETE"] };
        assert!(matches!(f.store.migrate(&[SCHEMA[0], SCHEMA[1], other]), Err(Error::Misuse(_))));
        Ok(())
    }

    pub fn a_failed_migration_leaves_no_trace(f: &Fixture) -> Outcome {
        let step = |statements| [SCHEMA[0], SCHEMA[1], Migration { number: 3, name: "x", statements }];
        let bad = step(&["CREATE TABLE half (id BIGINT PRIMARY KEY)", "CREATE TABLE half (nonsense"]);
        assert!(matches!(f.store.migrate(&bad), Err(Error::Statement(_))));
        let good = step(&["CREATE TABLE half (id BIGINT PRIMARY KEY, text TEXT)"]);
        f.store.migrate(&good)?;
        f.store.write(|tx| tx.query("INSERT INTO half (id, text) VALUES (1, 'whole')", &[]))?;
        Ok(())
    }

    pub fn two_first_migrations_at_once_both_succeed(f: &Fixture) -> Outcome {
        let more = [
            SCHEMA[0],
            SCHEMA[1],
            Migration { number: 3, name: "x", statements: &["CREATE TABLE more (id BIGINT PRIMARY KEY)"] },
        ];
        let stores = [f.place.open(), f.place.open(), f.place.open(), f.place.open()];
        std::thread::scope(|scope| {
            let running: Vec<_> = stores.iter().map(|store| scope.spawn(|| store.migrate(&more))).collect();
            running.into_iter().try_for_each(|thread| thread.join().unwrap())
        })?;
        assert_eq!(f.store.migrate(SCHEMA), Err(Error::SchemaNewer { found: 3, known: 2 }));
        Ok(())
    }
}
