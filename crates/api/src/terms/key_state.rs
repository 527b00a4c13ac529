//! What follows what in the life of a key: the one table that every act on a key is held to.

use super::KeyState;

/// One step in the life of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// From this state.
    pub from: KeyState,
    /// To this one.
    pub to: KeyState,
    /// Its number in NIST SP 800-57 part 1 revision 5, section 7.
    pub number: u8,
}

const fn step(number: u8, from: KeyState, to: KeyState) -> Transition {
    Transition { from, to, number }
}

/// Every step that there is. Of those of NIST SP 800-57 all but the first, which is that a key is made, and 16: what was destroyed
/// and is found to have been compromised is a matter of the log.
pub const TRANSITIONS: [Transition; 14] = {
    use KeyState::{Active, Compromised, Deactivated, Destroyed, PreActive, Suspended};
    [
        step(2, PreActive, Destroyed),
        step(3, PreActive, Compromised),
        step(4, PreActive, Active),
        step(5, Active, Destroyed),
        step(6, Active, Compromised),
        step(7, Active, Suspended),
        step(8, Active, Deactivated),
        step(9, Suspended, Destroyed),
        step(10, Suspended, Compromised),
        step(11, Suspended, Active),
        step(12, Suspended, Deactivated),
        step(13, Deactivated, Destroyed),
        step(14, Deactivated, Compromised),
        step(15, Compromised, Destroyed),
    ]
};

impl KeyState {
    /// Whether something new is protected with such a key: wrapped, sealed, signed.
    pub const fn protects(self) -> bool {
        matches!(self, Self::Active)
    }

    /// Whether what it protected is opened for somebody.
    pub const fn opens(self) -> bool {
        matches!(self, Self::Active | Self::Deactivated)
    }

    /// Whether the key plane unwraps what it protects, to protect it anew under another key. No key leaves by that.
    pub const fn moves(self) -> bool {
        matches!(self, Self::Active | Self::Deactivated | Self::Compromised)
    }

    /// Whether it may become that.
    pub fn may_become(self, next: Self) -> bool {
        self.follows().any(|state| state == next)
    }

    /// What may follow it.
    pub fn follows(self) -> impl Iterator<Item = Self> {
        TRANSITIONS.iter().filter(move |step| step.from == self).map(|step| step.to)
    }

    /// What it allows, in words.
    pub const fn allows(self) -> &'static str {
        match (self.protects(), self.opens(), self.moves()) {
            (true, ..) => "it seals and opens",
            (_, true, _) => "it opens what it sealed, and seals nothing new",
            (.., true) => "it opens nothing; what it sealed can be sealed anew under another key",
            _ => "it neither seals nor opens",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn nothing_follows_destruction_and_everything_comes_to_it() {
        assert_eq!(KeyState::Destroyed.follows().count(), 0);
        for state in KeyState::ALL.iter().filter(|state| **state != KeyState::Destroyed) {
            assert!(state.may_become(KeyState::Destroyed), "{state}");
            assert!(!state.may_become(*state) && !state.may_become(KeyState::PreActive), "{state}");
        }
    }

    #[test]
    fn no_walk_leads_from_compromised_or_deactivated_back_into_use() {
        // Every walk through the table, which is finite but for suspending and resuming.
        let mut seen: BTreeSet<(KeyState, bool, bool)> = BTreeSet::new();
        let mut next = vec![(KeyState::PreActive, false, false)];
        while let Some((state, exposed, spent)) = next.pop() {
            let (exposed, spent) = (exposed || state == KeyState::Compromised, spent || state == KeyState::Deactivated);
            assert!(!(exposed && (state.opens() || state.protects())), "{state}");
            assert!(!(spent && state.protects()), "{state}");
            assert!(state.opens() || !state.protects(), "what seals opens: {state}");
            if seen.insert((state, exposed, spent)) {
                next.extend(state.follows().map(|state| (state, exposed, spent)));
            }
        }
        for state in KeyState::ALL {
            assert!(seen.iter().any(|(reached, ..)| reached == state), "{state} is reached");
        }
    }

    #[test]
    fn the_steps_are_those_of_the_standard_each_once() {
        let numbers: Vec<u8> = TRANSITIONS.iter().map(|step| step.number).collect();
        assert_eq!(numbers, (2..=15).collect::<Vec<_>>());
        let steps: BTreeSet<(KeyState, KeyState)> = TRANSITIONS.iter().map(|step| (step.from, step.to)).collect();
        assert_eq!(steps.len(), TRANSITIONS.len());
    }
}
