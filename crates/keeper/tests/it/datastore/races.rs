//! Many threads at once: nothing is lost, nothing is half seen, and no release comes after its revocation.

use super::on_both_engines;

on_both_engines! { claims:
    no_increment_is_lost
    money_moves_but_never_appears
    a_failure_does_not_touch_its_neighbours
    no_release_has_a_ticket_after_its_revocation
}

mod claims {
    use crate::datastore::{Fixture, Outcome};
    use keeper::datastore::{Datastore, Error, Lock, Transaction};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    const THREADS: u8 = 8;
    const ROUNDS: i64 = 25;

    fn set(store: &Datastore, subject: u8, value: i64) -> Result<(), Error> {
        let sql = "INSERT INTO epoch (subject, kind, value) VALUES ($1, 'k', $2) ON CONFLICT (subject) DO UPDATE SET value = excluded.value";
        store.write(|tx| tx.query(sql, &[(&[subject]).into(), value.into()])).map(|_| ())
    }

    fn get(tx: &mut dyn Transaction, subject: u8) -> Result<i64, Error> {
        tx.query("SELECT value FROM epoch WHERE subject = $1", &[(&[subject]).into()])?.one()?.integer(0)
    }

    fn change(tx: &mut dyn Transaction, subject: u8, value: i64) -> Result<(), Error> {
        let changed =
            tx.query("UPDATE epoch SET value = $1 WHERE subject = $2", &[value.into(), (&[subject]).into()])?;
        assert_eq!(changed.changed(), 1);
        Ok(())
    }

    /// Repeats what lost all its races: contention is an answer, not a failure.
    fn insist<T>(mut work: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        loop {
            match work() {
                Err(Error::Contended { .. } | Error::Busy) => thread::yield_now(),
                other => return other,
            }
        }
    }

    fn all_at_once(work: impl Fn(u8) -> Result<(), Error> + Sync) -> Result<(), Error> {
        let barrier = Barrier::new(THREADS.into());
        thread::scope(|scope| {
            let (work, barrier) = (&work, &barrier);
            let start = |number| {
                scope.spawn(move || {
                    barrier.wait();
                    work(number)
                })
            };
            let running: Vec<_> = (0..THREADS).map(start).collect();
            running.into_iter().try_for_each(|thread| thread.join().unwrap())
        })
    }

    pub fn no_increment_is_lost(f: &Fixture) -> Outcome {
        set(&f.store, 1, 0)?;
        all_at_once(|_| {
            (0..ROUNDS).try_for_each(|_| {
                insist(|| {
                    f.store.write(|tx| {
                        let value = get(tx, 1)?;
                        change(tx, 1, value + 1)
                    })
                })
            })
        })?;
        assert_eq!(f.store.read(|tx| get(tx, 1))?, i64::from(THREADS) * ROUNDS);
        Ok(())
    }

    pub fn money_moves_but_never_appears(f: &Fixture) -> Outcome {
        for account in 0..4 {
            set(&f.store, account, 100)?;
        }
        let sum = |tx: &mut dyn Transaction| (0..4).try_fold(0, |sum, account| Ok::<_, Error>(sum + get(tx, account)?));
        all_at_once(|thread| {
            for round in 0..ROUNDS {
                if thread % 2 == 0 {
                    assert_eq!(f.store.read(|tx| sum(tx))?, 400);
                    continue;
                }
                let (from, to) = ((round % 4) as u8, ((round + i64::from(thread)) % 4) as u8);
                insist(|| {
                    f.store.write(|tx| {
                        let amount = get(tx, from)?.min(7);
                        let left = get(tx, from)? - amount;
                        change(tx, from, left)?;
                        let more = get(tx, to)? + amount;
                        change(tx, to, more)
                    })
                })?;
            }
            Ok(())
        })?;
        assert_eq!(f.store.read(|tx| sum(tx))?, 400);
        Ok(())
    }

    pub fn a_failure_does_not_touch_its_neighbours(f: &Fixture) -> Outcome {
        let insert = "INSERT INTO command (key, at) VALUES ($1, $2)";
        all_at_once(|thread| {
            for round in 0..ROUNDS {
                let key = [thread, round as u8];
                insist(|| f.store.write(|tx| tx.query(insert, &[(&key).into(), round.into()])))?;
                let again = insist(|| f.store.write(|tx| tx.query(insert, &[(&key).into(), round.into()])));
                assert!(again.unwrap_err().is_duplicate());
                let shy = f.store.write(|tx| {
                    tx.query(insert, &[(&[thread, round as u8, 1]).into(), round.into()])?;
                    Err::<(), _>(Error::Misuse("changed its mind"))
                });
                assert!(shy.is_err());
            }
            Ok(())
        })?;
        let count =
            f.store.read(|tx| tx.query("SELECT CAST(COUNT(*) AS BIGINT) FROM command", &[])?.one()?.integer(0))?;
        assert_eq!(count, i64::from(THREADS) * ROUNDS);
        Ok(())
    }

    /// Subjects start allowed (0); revokers set them to 1. Each act logs its ticket. A release that saw 0 must have a
    /// smaller ticket than the revocation of its subject.
    pub fn no_release_has_a_ticket_after_its_revocation(f: &Fixture) -> Outcome {
        const SUBJECTS: u8 = 8;
        for subject in 0..SUBJECTS {
            set(&f.store, subject, 0)?;
        }
        let log = |tx: &mut dyn Transaction, subject: u8, kind: &str, id: [u8; 3]| {
            let ticket = tx.ticket()?;
            let sql = "INSERT INTO entry (id, at, kind, subject) VALUES ($1, $2, $3, $4)";
            tx.query(sql, &[(&id).into(), ticket.into(), kind.into(), (&[subject]).into()]).map(|_| ())
        };
        let lock = "SELECT value FROM epoch WHERE subject = $1";
        let released: Vec<AtomicBool> = (0..SUBJECTS).map(|_| AtomicBool::new(false)).collect();
        all_at_once(|thread| {
            for subject in 0..SUBJECTS {
                let key = [subject];
                let id = [(&key).into()];
                if thread < 2 {
                    // A revocation in the middle of releases, not before the first.
                    while !released[usize::from(subject)].load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                    insist(|| {
                        f.store.write(|tx| {
                            if tx.lock(Lock::Exclusive, lock, &id)?.one()?.integer(0)? == 1 {
                                return Ok(());
                            }
                            change(tx, subject, 1)?;
                            log(tx, subject, "revoke", [thread, subject, 255])
                        })
                    })?;
                    continue;
                }
                for round in 0..30 {
                    let revoked = insist(|| {
                        f.store.write(|tx| {
                            if tx.lock(Lock::Shared, lock, &id)?.one()?.integer(0)? == 1 {
                                return Ok(true);
                            }
                            log(tx, subject, "release", [thread, subject, round])?;
                            Ok(false)
                        })
                    })?;
                    released[usize::from(subject)].store(true, Ordering::SeqCst);
                    if revoked {
                        break;
                    }
                }
            }
            Ok(())
        })?;
        let late = "SELECT release.at FROM entry AS release JOIN entry AS revoke ON revoke.subject = release.subject \
             AND revoke.kind = 'revoke' WHERE release.kind = 'release' AND release.at > revoke.at";
        assert_eq!(f.store.read(|tx| tx.query(late, &[]))?.len(), 0);
        let kinds = "SELECT CAST(COUNT(*) AS BIGINT), CAST(COUNT(DISTINCT at) AS BIGINT) FROM entry WHERE kind = $1";
        let revoked = f.store.read(|tx| tx.query(kinds, &["revoke".into()])?.one())?;
        assert_eq!((revoked.integer(0)?, revoked.integer(1)?), (SUBJECTS.into(), SUBJECTS.into()));
        assert!(f.store.read(|tx| tx.query(kinds, &["release".into()])?.one()?.integer(0))? > 0);
        Ok(())
    }
}
