//! Keys in memory that is never written to swap.

use std::sync::atomic::{AtomicU8, Ordering};

/// Nobody asked for it.
const OFF: u8 = 0;
/// Every key so far is.
const HOLDS: u8 = 1;
/// The system refused for at least one.
const REFUSED: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(OFF);

/// From now on, has this process keep every opened root, domain key and key of a vault in memory. Call it before a vault is opened.
pub fn keep_keys_resident() {
    let _ = STATE.compare_exchange(OFF, HOLDS, Ordering::AcqRel, Ordering::Acquire);
}

/// Whether the system let every key be kept so: it may not, beyond a limit.
pub fn keys_are_resident() -> bool {
    STATE.load(Ordering::Acquire) == HOLDS
}

/// Keeps the pages of a key in memory until the process ends, if that was asked for. A page may hold several keys, so none is given
/// back while others live.
pub(crate) fn keep(key: &[u8; 32]) {
    if STATE.load(Ordering::Acquire) == OFF {
        return;
    }
    match region::lock(key.as_ptr(), key.len()) {
        Ok(guard) => std::mem::forget(guard),
        Err(_) => STATE.store(REFUSED, Ordering::Release),
    }
}
