//! A row's body as the database might hold it: read the way every row is, and written again.

use super::{Guard, Table, canonical, mac_input};
use crate::datastore::{Row, Value};
use aws_lc_rs::hmac;
use std::fmt::Debug;

/// The canonical form of a body that is read; none if it is refused or could not have been written.
///
/// The MAC and the index columns are made to fit, so that only the body decides.
pub(crate) fn reread<T: Table + PartialEq + Debug>(body: &[u8]) -> Option<Vec<u8>> {
    let typed: T = serde_json::from_slice(body).ok()?;
    let guard = Guard { key: hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]) };
    let (id, salt) = (typed.id(), [1; 16]);
    let tag = hmac::sign(&guard.key, &mac_input(T::NAME, &id, body, &salt, 1));
    let mut values: Vec<Value<'_>> = vec![(&id).into(), body.into(), (&salt).into(), 1.into(), tag.as_ref().into()];
    values.extend(typed.index());
    let read = guard.hydrated::<T>(&Row::of(&values));
    assert_eq!(read.ok().as_ref(), Some(&typed), "a row reads as its body says");
    canonical(&typed).ok()
}
