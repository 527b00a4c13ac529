//! What is looked for: the prints of every version that the caller may look for, in one table.

use super::KnownCount;
use crate::seat::unexpected;
use crate::watch::{Watch, check};
use crate::{Client, fault};
use api::terms::{Action, Class, Suite, VersionId};
use api::wire::{Answer, Command, Printed, Prints, Problem, VersionItem};
use seal::prints::{Printer, Set, open_key};
use seal::secret::{ListKey, PrintKey};
use std::collections::{HashMap, HashSet};

/// Versions asked for at a time.
const STEP: usize = seal::request::MAX_VERSIONS;
/// The most prints that are held; versions beyond are not looked for, and said.
const MAX_PRINTS: usize = 16 << 20;

/// A version that is looked for.
pub(super) struct Known {
    pub(super) item: VersionItem,
    pub(super) list: ListKey,
    pub(super) digest: [u8; 32],
}

/// A print, whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) print: u64,
    pub(super) version: u32,
    pub(super) file: u32,
}

/// Every print that is looked for.
pub(super) struct Index {
    pub(super) printer: Option<Printer>,
    pub(super) count: KnownCount,
    versions: Vec<Known>,
    /// In order.
    slots: Vec<Slot>,
    /// A bit for each place of a print's hash: most content is told to be unknown by it.
    filter: Vec<u64>,
    /// Lengths of files that have a print of their own.
    lengths: HashSet<u64>,
    length_of: HashMap<(u32, u32), u64>,
    /// How many prints each file has.
    of_file: HashMap<(u32, u32), u32>,
}

impl Index {
    /// Asks the keeper for all of them.
    pub(super) fn load(client: &Client, watch: &dyn Watch) -> Result<Self, Problem> {
        let mut items: Vec<VersionItem> = Vec::new();
        client.each_version(&mut |item| {
            items.push(item.clone());
            Ok(())
        })?;
        // The newest first, so that the oldest are left out if there are too many.
        items.sort_by_key(|item| std::cmp::Reverse(item.created.as_millis()));
        let mut making = Making::default();
        let mut items = items.into_iter().peekable();
        while items.peek().is_some() {
            check(watch, "doctor")?;
            making.take(client, items.by_ref().take(STEP).collect())?;
        }
        Ok(making.index())
    }

    /// Over sets at hand.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn of(key: PrintKey, sets: Vec<(VersionItem, Set)>) -> Self {
        let mut making = Making { key: Some(key), ..Making::default() };
        for (item, set) in sets {
            making.add(item, ListKey::from_bytes(Box::new([0; 32])), [0; 32], &set);
        }
        making.index()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn version(&self, number: u32) -> Option<&Known> {
        self.versions.get(number as usize)
    }

    pub(super) fn by_id(&self, id: &str) -> Option<&Known> {
        let id: VersionId = id.parse().ok()?;
        self.versions.iter().find(|known| known.item.id == id)
    }

    /// Whether some file that is looked for has this length.
    pub(super) fn has_length(&self, len: u64) -> bool {
        self.lengths.contains(&len)
    }

    /// The length of a file that has a print of its own.
    pub(super) fn length_of(&self, version: u32, file: u32) -> Option<u64> {
        self.length_of.get(&(version, file)).copied()
    }

    /// How many prints a file has.
    pub(super) fn prints_of(&self, version: u32, file: u32) -> u32 {
        self.of_file.get(&(version, file)).copied().unwrap_or(0)
    }

    /// Whose a print is.
    pub(super) fn find(&self, print: u64) -> impl Iterator<Item = &Slot> {
        let first =
            if self.may_have(print) { self.slots.partition_point(|slot| slot.print < print) } else { usize::MAX };
        self.slots.get(first..).unwrap_or_default().iter().take_while(move |slot| slot.print == print)
    }

    fn may_have(&self, print: u64) -> bool {
        let (word, bit) = place(print, self.filter.len());
        self.filter.get(word).is_some_and(|held| held >> bit & 1 == 1)
    }
}

fn place(print: u64, words: usize) -> (usize, u64) {
    let at = (u128::from(print) * (words as u128 * 64)) >> 64;
    ((at / 64) as usize, (at % 64) as u64)
}

/// A table being made.
#[derive(Default)]
struct Making {
    key: Option<PrintKey>,
    versions: Vec<Known>,
    slots: Vec<Slot>,
    length_of: HashMap<(u32, u32), u64>,
    /// What public versions hold is no spill, whoever else holds it.
    public: HashSet<u64>,
    count: KnownCount,
}

impl Making {
    /// Keys leave under the suite of their version: each is asked for apart.
    fn take(&mut self, client: &Client, items: Vec<VersionItem>) -> Result<(), Problem> {
        let mut by_suite: std::collections::BTreeMap<u8, (Suite, Vec<VersionItem>)> = std::collections::BTreeMap::new();
        for item in items.into_iter().filter(|item| item.removed.is_none()) {
            let place = by_suite.entry(item.suite.number()).or_insert_with(|| (item.suite, Vec::new()));
            place.1.push(item);
        }
        by_suite.into_values().try_for_each(|(suite, items)| self.take_of(client, suite, items))
    }

    fn take_of(&mut self, client: &Client, suite: Suite, items: Vec<VersionItem>) -> Result<(), Problem> {
        let ids: Vec<VersionId> = items.iter().map(|item| item.id).collect();
        let empty = Command::Prints(Prints { request: Vec::new() });
        let (request, one_time) = client.seat().sign(suite, Action::Scan, &ids, &empty)?;
        let answer = client.seat().call(Command::Prints(Prints { request: request.encode() }))?;
        let Answer::Printed(printed) = answer else { return Err(unexpected(&answer)) };
        let Printed { envelope, print_key, items: given } = *printed;
        if given.is_empty() {
            self.count.refused.extend(items.into_iter().map(|item| item.reference));
            return Ok(());
        }
        let mut envelope = client.seat().open(&envelope, &request, one_time)?;
        let mut sealed: HashMap<VersionId, Vec<u8>> =
            given.iter().map(|item| (item.version, item.sealed.clone())).collect();
        let mut keys = HashMap::new();
        for item in &given {
            keys.insert(item.version, envelope.split(item.version)?);
        }
        let vault = client.vault();
        if let (None, Some(first)) = (&self.key, given.first()) {
            let list = keys.get(&first.version).map(|(keys, _)| &keys.list);
            let list = list.ok_or_else(|| fault::internal("cannot look for copies", "a key is missing"))?;
            let key = open_key(&print_key, list, vault.as_bytes(), first.version.as_bytes());
            self.key =
                Some(key.map_err(|e| {
                    Problem::new(api::terms::Code::BadSignature, "cannot look for copies", e.to_string())
                })?);
        }
        for item in items {
            let Some((keys, Some(digest))) = keys.remove(&item.id) else {
                self.count.refused.push(item.reference);
                continue;
            };
            let sealed = sealed.remove(&item.id).unwrap_or_default();
            match Set::open(&sealed, &keys.list, vault.as_bytes(), item.id.as_bytes()) {
                Ok(set) if self.slots.len() + set.wholes.len() <= MAX_PRINTS => self.add(item, keys.list, digest, &set),
                _ => self.count.without.push(item.reference),
            }
        }
        Ok(())
    }

    fn add(&mut self, item: VersionItem, list: ListKey, digest: [u8; 32], set: &Set) {
        let parts = set.parts.iter().flatten().map(|entry| (entry.print, entry.file));
        let wholes = set.wholes.iter().map(|whole| (whole.print, whole.file));
        if item.class == Class::Public {
            self.public.extend(parts.chain(wholes).map(|(print, _)| print));
            return;
        }
        let version = self.versions.len() as u32;
        self.slots.extend(parts.chain(wholes).map(|(print, file)| Slot { print, version, file }));
        self.length_of.extend(set.wholes.iter().map(|whole| ((version, whole.file), whole.len)));
        self.versions.push(Known { item, list, digest });
    }

    fn index(self) -> Index {
        let Self { key, versions, mut slots, length_of, public, mut count } = self;
        let lengths = length_of.values().copied().collect();
        slots.retain(|slot| !public.contains(&slot.print));
        slots.sort_unstable();
        slots.dedup();
        let mut filter = vec![0_u64; (slots.len() / 2).next_power_of_two()];
        let mut of_file: HashMap<(u32, u32), u32> = HashMap::new();
        let words = filter.len();
        for slot in &slots {
            let (word, bit) = place(slot.print, words);
            if let Some(held) = filter.get_mut(word) {
                *held |= 1 << bit;
            }
            *of_file.entry((slot.version, slot.file)).or_default() += 1;
        }
        count.versions = versions.len() as u64;
        count.prints = slots.len() as u64;
        Index { printer: key.map(Printer::new), count, versions, slots, filter, lengths, length_of, of_file }
    }
}
