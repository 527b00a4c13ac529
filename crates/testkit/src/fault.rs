//! Faults on command: a seeded plan that says when the next one strikes.
//!
//! The plan knows nothing of stores or databases. A wrapper asks it by name (`plan.strike("lose-ack")`) and gets a number to shape the fault with.
//! From one thread the answers follow from the seed alone; print the seed when a test fails. With several threads their order decides.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Random numbers from a seed (SplitMix64). Never for keys.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that roll the same numbers for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..below`, or 0 when `below` is 0.
    pub const fn below(&mut self, below: u64) -> u64 {
        if below == 0 { 0 } else { self.roll() % below }
    }

    /// Fills a buffer.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for piece in buffer.chunks_mut(8) {
            for (byte, random) in piece.iter_mut().zip(self.roll().to_le_bytes()) {
                *byte = random;
            }
        }
    }
}

/// When which fault strikes.
#[derive(Debug)]
pub struct Plan {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    faults: BTreeMap<String, Fault>,
    armed: bool,
}

#[derive(Debug, Default, Clone)]
struct Fault {
    per_mille: u64,
    at: Vec<u64>,
    asked: u64,
    struck: u64,
}

impl Plan {
    /// A plan in which nothing strikes yet.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, state: Mutex::new(State { dice: Dice::new(seed), faults: BTreeMap::new(), armed: true }) }
    }

    /// Lets `fault` strike in `per_mille` of a thousand cases.
    #[must_use]
    pub fn rate(self, fault: &str, per_mille: u64) -> Self {
        self.lock().faults.entry(fault.into()).or_default().per_mille = per_mille;
        self
    }

    /// Lets `fault` strike the `n`th time it is asked for, counted from 0.
    #[must_use]
    pub fn at(self, fault: &str, n: u64) -> Self {
        self.lock().faults.entry(fault.into()).or_default().at.push(n);
        self
    }

    /// Whether `fault` strikes now, and if so a random number to shape it with.
    pub fn strike(&self, fault: &str) -> Option<u64> {
        let mut state = self.lock();
        if !state.armed {
            return None;
        }
        let roll = state.dice.below(1000);
        let shape = state.dice.roll();
        let fault = state.faults.get_mut(fault)?;
        let strikes = roll < fault.per_mille || fault.at.contains(&fault.asked);
        fault.asked += 1;
        fault.struck += u64::from(strikes);
        strikes.then_some(shape)
    }

    /// Stops all faults, for the check at the end of a test.
    pub fn disarm(&self) {
        self.lock().armed = false;
    }

    /// Lets faults strike again.
    pub fn arm(&self) {
        self.lock().armed = true;
    }

    /// How often `fault` struck: a test asserts that its faults happened at all.
    #[must_use]
    pub fn struck(&self, fault: &str) -> u64 {
        self.lock().faults.get(fault).map_or(0, |fault| fault.struck)
    }

    /// The seed, to be printed.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_plans() {
        let plans = [Plan::new(7).rate("a", 300), Plan::new(7).rate("a", 300)];
        let [left, right] = plans.map(|plan| (0..200).map(|_| plan.strike("a")).collect::<Vec<_>>());
        assert_eq!(left, right);
        assert!(left.iter().any(Option::is_some) && left.iter().any(Option::is_none));
    }

    #[test]
    fn named_turn_strikes_once_and_is_counted() {
        let plan = Plan::new(1).at("full", 2);
        let strikes: Vec<_> = (0..5).map(|_| plan.strike("full").is_some()).collect();
        assert_eq!(strikes, [false, false, true, false, false]);
        assert_eq!(plan.struck("full"), 1);
        assert_eq!(plan.strike("unknown"), None);
    }

    #[test]
    fn disarmed_plan_never_strikes() {
        let plan = Plan::new(1).rate("a", 1000);
        plan.disarm();
        assert_eq!(plan.strike("a"), None);
        plan.arm();
        assert!(plan.strike("a").is_some());
    }
}
