//! Where to look for the policies about one act on one thing: by action, and by the place that a scope names.

use super::scope::Applies;
use crate::slice::Target;
use api::terms::Action;
use std::collections::HashMap;

/// Positions of policies, by action.
#[derive(Debug)]
pub(super) struct Shelves(HashMap<Action, Shelf>);

/// The policies about one action.
#[derive(Debug, Default)]
struct Shelf {
    /// Those that name no place.
    anywhere: Vec<u32>,
    /// The others by the id of the place.
    places: HashMap<String, Vec<u32>>,
}

impl Shelves {
    /// The policies in the order of their positions.
    pub(super) fn of<'a>(policies: impl Iterator<Item = &'a Applies>) -> Self {
        let mut shelves: HashMap<Action, Shelf> = HashMap::new();
        for (at, applies) in (0..).zip(policies) {
            for action in Action::ALL.iter().copied().filter(|action| applies.on(*action)) {
                let shelf = shelves.entry(action).or_default();
                match applies.place() {
                    None => shelf.anywhere.push(at),
                    Some(id) => shelf.places.entry(id.to_owned()).or_default().push(at),
                }
            }
        }
        Self(shelves)
    }

    /// At least those that can match the target, in order, each once.
    pub(super) fn at(&self, target: &Target<'_>) -> Vec<u32> {
        let Some(shelf) = self.0.get(&target.action) else { return Vec::new() };
        let placed = target.places().filter_map(|id| shelf.places.get(id)).flatten();
        let mut found: Vec<u32> = shelf.anywhere.iter().chain(placed).copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}
