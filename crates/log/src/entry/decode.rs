//! Reading an entry: parse, take every member, write again, compare.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{AuthMethod, Decision, Effect, Entry, EntryError, Id, Kind, MAX_ROW_ID_LEN, StateChange};
use crate::jcs::JcsError;
use crate::text;
use crate::tile::MAX_ENTRY_LEN;
use crate::tree::Hash;

pub(super) fn entry(bytes: &[u8]) -> Result<Entry, EntryError> {
    if bytes.len() > MAX_ENTRY_LEN {
        return Err(EntryError::TooLong);
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|_| JcsError::Malformed)?;
    let mut top = Members::new(value, "entry")?;
    if top.integer("v")? != 1 {
        return Err(EntryError::Member("v"));
    }
    let mut auth = Members::new(top.take("auth")?, "auth")?;
    let method = auth.word("method", AuthMethod::parse)?;
    auth.end("auth")?;
    let entry = Entry {
        vault: top.word("vault", Id::parse)?,
        log: top.integer("log")?,
        id: top.word("id", Id::parse)?,
        ticket: top.integer("ticket")?,
        kind: top.word("kind", Kind::parse)?,
        time: top.string("time")?,
        auth: method,
        principal: top.word("principal", Id::parse)?,
        act: top.string("act")?,
        decision: top.0.remove("decision").map(decision).transpose()?,
        subject: top.map("subject", |text| Some(text.to_owned()))?,
        detail: top.map("detail", |text| Some(text.to_owned()))?,
        commitments: top.map("commitments", Hash::from_hex)?,
        state: top.list("state")?.into_iter().map(change).collect::<Result<_, _>>()?,
    };
    top.end("entry")?;
    // Order, escapes, spaces, duplicates and empty optional members all show here, and so do the limits.
    if entry.encode()? == bytes { Ok(entry) } else { Err(JcsError::NotCanonical.into()) }
}

fn decision(value: Value) -> Result<Decision, EntryError> {
    let mut members = Members::new(value, "decision")?;
    let decision = Decision {
        id: members.word("id", Id::parse)?,
        effect: members.word("effect", Effect::parse)?,
        policies: members.strings("policies")?,
        near: members.strings("near")?,
        policy_set: members.word("policy_set", Hash::from_hex)?,
        schema: members.word("schema", Hash::from_hex)?,
        slice: members.word("slice", Hash::from_hex)?,
        context: members.word("context", Hash::from_hex)?,
        engine: members.string("engine")?,
    };
    members.end("decision")?;
    Ok(decision)
}

fn change(value: Value) -> Result<StateChange, EntryError> {
    let mut members = Members::new(value, "state")?;
    let commitment = match members.take("commitment")? {
        Value::Null => None,
        Value::String(text) => Some(Hash::from_hex(&text).ok_or(EntryError::Member("commitment"))?),
        _ => return Err(EntryError::Member("commitment")),
    };
    let change = StateChange {
        table: members.string("table")?,
        id: members.word("id", |text| text::from_hex(text, MAX_ROW_ID_LEN))?,
        commitment,
    };
    members.end("state")?;
    Ok(change)
}

/// The members of an object, taken one by one; what is left at the end is unknown and refused.
struct Members(Map<String, Value>);

impl Members {
    fn new(value: Value, name: &'static str) -> Result<Self, EntryError> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(EntryError::Member(name)),
        }
    }

    fn end(self, name: &'static str) -> Result<(), EntryError> {
        if self.0.is_empty() { Ok(()) } else { Err(EntryError::Member(name)) }
    }

    fn take(&mut self, name: &'static str) -> Result<Value, EntryError> {
        self.0.remove(name).ok_or(EntryError::Member(name))
    }

    fn integer(&mut self, name: &'static str) -> Result<u64, EntryError> {
        self.take(name)?.as_u64().ok_or(EntryError::Member(name))
    }

    fn string(&mut self, name: &'static str) -> Result<String, EntryError> {
        match self.take(name)? {
            Value::String(text) => Ok(text),
            _ => Err(EntryError::Member(name)),
        }
    }

    fn word<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, EntryError> {
        parse(&self.string(name)?).ok_or(EntryError::Member(name))
    }

    fn list(&mut self, name: &'static str) -> Result<Vec<Value>, EntryError> {
        match self.0.remove(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(EntryError::Member(name)),
        }
    }

    fn strings(&mut self, name: &'static str) -> Result<Vec<String>, EntryError> {
        let text = |item| match item {
            Value::String(text) => Ok(text),
            _ => Err(EntryError::Member(name)),
        };
        self.list(name)?.into_iter().map(text).collect()
    }

    fn map<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<BTreeMap<String, T>, EntryError> {
        let members = match self.0.remove(name) {
            None => return Ok(BTreeMap::new()),
            Some(value) => Self::new(value, name)?,
        };
        let pair = |(key, value): (String, Value)| {
            let value = value.as_str().and_then(&parse).ok_or(EntryError::Member(name))?;
            Ok((key, value))
        };
        members.0.into_iter().map(pair).collect()
    }
}
