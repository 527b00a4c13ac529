//! Writing an entry: members in the order of JCS, limits checked on the way.

use std::collections::BTreeMap;

use super::{
    Decision, Entry, EntryError, MAX_CHANGES, MAX_MEMBERS, MAX_POLICIES, MAX_ROW_ID_LEN, MAX_STRING_LEN, StateChange,
    is_name, is_time,
};
use crate::jcs::{self, JcsError, MAX_INTEGER};
use crate::tile::MAX_ENTRY_LEN;

pub(super) fn entry(entry: &Entry) -> Result<Vec<u8>, EntryError> {
    let mut out = Object::start(Vec::with_capacity(1024));
    out.name_value("act", &entry.act)?;
    out.member("auth", |out| {
        let mut auth = Object::start(out);
        auth.string("method", entry.auth.as_str())?;
        Ok(auth.end())
    })?;
    if !entry.commitments.is_empty() {
        let hashes = entry.commitments.iter().map(|(name, hash)| (name, hash.to_string())).collect();
        out.map("commitments", &hashes)?;
    }
    if let Some(decision) = &entry.decision {
        out.member("decision", |out| self::decision(out, decision))?;
    }
    out.optional_map("detail", &entry.detail)?;
    out.string("id", &entry.id.to_string())?;
    out.string("kind", entry.kind.as_str())?;
    if entry.log == 0 {
        return Err(EntryError::Member("log"));
    }
    out.integer("log", entry.log)?;
    out.string("principal", &entry.principal.to_string())?;
    if !entry.state.is_empty() {
        out.member("state", |out| changes(out, &entry.state))?;
    }
    out.optional_map("subject", &entry.subject)?;
    out.integer("ticket", entry.ticket)?;
    if !is_time(&entry.time) {
        return Err(EntryError::Member("time"));
    }
    out.string("time", &entry.time)?;
    out.integer("v", 1)?;
    out.string("vault", &entry.vault.to_string())?;
    let bytes = out.end();
    if bytes.len() > MAX_ENTRY_LEN { Err(EntryError::TooLong) } else { Ok(bytes) }
}

fn decision(out: Vec<u8>, decision: &Decision) -> Result<Vec<u8>, EntryError> {
    let mut out = Object::start(out);
    out.string("context", &decision.context.to_string())?;
    out.string("effect", decision.effect.as_str())?;
    out.string("engine", &decision.engine)?;
    out.string("id", &decision.id.to_string())?;
    if !decision.near.is_empty() {
        out.strings("near", &decision.near)?;
    }
    out.strings("policies", &decision.policies)?;
    out.string("policy_set", &decision.policy_set.to_string())?;
    out.string("schema", &decision.schema.to_string())?;
    out.string("slice", &decision.slice.to_string())?;
    Ok(out.end())
}

fn changes(mut out: Vec<u8>, changes: &[StateChange]) -> Result<Vec<u8>, EntryError> {
    if changes.len() > MAX_CHANGES {
        return Err(EntryError::Member("state"));
    }
    out.push(b'[');
    for (n, change) in changes.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        let mut row = Object::start(out);
        match &change.commitment {
            Some(hash) => row.string("commitment", &hash.to_string())?,
            None => row.null("commitment")?,
        }
        if change.id.is_empty() || change.id.len() > MAX_ROW_ID_LEN {
            return Err(EntryError::Member("state"));
        }
        row.string("id", &hex::encode(&change.id))?;
        row.name_value("table", &change.table)?;
        out = row.end();
    }
    out.push(b']');
    Ok(out)
}

/// An object under construction; its members must come in ascending order.
struct Object {
    out: Vec<u8>,
    first: bool,
}

impl Object {
    fn start(mut out: Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    fn end(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }

    fn key(&mut self, name: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        jcs::string(&mut self.out, name);
        self.out.push(b':');
    }

    fn member(
        &mut self,
        name: &'static str,
        write: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, EntryError>,
    ) -> Result<(), EntryError> {
        self.key(name);
        self.out = write(std::mem::take(&mut self.out))?;
        Ok(())
    }

    fn string(&mut self, name: &'static str, text: &str) -> Result<(), EntryError> {
        self.key(name);
        bounded(&mut self.out, name, text)
    }

    fn name_value(&mut self, name: &'static str, text: &str) -> Result<(), EntryError> {
        if !is_name(text) {
            return Err(EntryError::Member(name));
        }
        self.string(name, text)
    }

    fn null(&mut self, name: &str) -> Result<(), EntryError> {
        self.key(name);
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn integer(&mut self, name: &'static str, value: u64) -> Result<(), EntryError> {
        if value > MAX_INTEGER {
            return Err(JcsError::Number.into());
        }
        self.key(name);
        self.out.extend_from_slice(value.to_string().as_bytes());
        Ok(())
    }

    fn strings(&mut self, name: &'static str, texts: &[String]) -> Result<(), EntryError> {
        if texts.len() > MAX_POLICIES {
            return Err(EntryError::Member(name));
        }
        self.key(name);
        self.out.push(b'[');
        for (n, text) in texts.iter().enumerate() {
            if n > 0 {
                self.out.push(b',');
            }
            bounded(&mut self.out, name, text)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn optional_map(&mut self, name: &'static str, map: &BTreeMap<String, String>) -> Result<(), EntryError> {
        if map.is_empty() { Ok(()) } else { self.map(name, &map.iter().map(|(k, v)| (k, v.as_str())).collect()) }
    }

    fn map<V: AsRef<str>>(&mut self, name: &'static str, map: &BTreeMap<&String, V>) -> Result<(), EntryError> {
        if map.len() > MAX_MEMBERS || !map.keys().all(|key| is_name(key)) {
            return Err(EntryError::Member(name));
        }
        self.key(name);
        // Names are ASCII, so the map's order is that of UTF-16 code units.
        let mut object = Object::start(std::mem::take(&mut self.out));
        for (key, value) in map {
            object.key(key);
            bounded(&mut object.out, name, value.as_ref())?;
        }
        self.out = object.end();
        Ok(())
    }
}

fn bounded(out: &mut Vec<u8>, name: &'static str, text: &str) -> Result<(), EntryError> {
    if text.len() > MAX_STRING_LEN {
        return Err(EntryError::Member(name));
    }
    jcs::string(out, text);
    Ok(())
}
