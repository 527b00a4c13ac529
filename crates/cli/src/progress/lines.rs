//! Progress as lines of text, for a file or a pipe: one for each tenth, or for each GiB where nobody knows how much there is.

use crate::output::{bytes_shown, stderr};
use std::sync::{Mutex, PoisonError};

/// What was told already.
#[derive(Debug, Default)]
pub struct Lines(Mutex<Stage>);

#[derive(Debug, Default)]
struct Stage {
    name: &'static str,
    total_bytes: Option<u64>,
    done_bytes: u64,
    /// Lines of this stage after its first.
    told: u64,
}

/// The step where the total is not known.
const STEP_BYTES: u64 = 1 << 30;

impl Lines {
    /// Something begins.
    pub fn stage(&self, name: &'static str, total_bytes: Option<u64>) {
        let mut stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *stage = Stage { name, total_bytes, ..Stage::default() };
        stderr(&match total_bytes {
            Some(total) => format!("{name} {}", bytes_shown(total)),
            None => name.to_owned(),
        });
    }

    /// So much more is done.
    pub fn advance(&self, bytes: u64) {
        let mut stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = stage.advance(bytes) {
            stderr(&line);
        }
    }
}

impl Stage {
    fn advance(&mut self, bytes: u64) -> Option<String> {
        self.done_bytes = self.done_bytes.saturating_add(bytes);
        let reached = match self.total_bytes {
            None => self.done_bytes / STEP_BYTES,
            Some(0) => 0,
            Some(total) => u64::try_from(u128::from(self.done_bytes) * 10 / u128::from(total)).unwrap_or(10).min(10),
        };
        if reached <= self.told {
            return None;
        }
        self.told = reached;
        let (name, done) = (self.name, bytes_shown(self.done_bytes));
        Some(match self.total_bytes {
            Some(total) => format!("{name} {}0 %  {done} of {}", reached, bytes_shown(total)),
            None => format!("{name} {done}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{STEP_BYTES, Stage};

    #[test]
    fn a_line_is_told_for_each_tenth_and_once() {
        let mut stage = Stage { name: "sealing", total_bytes: Some(1000), ..Stage::default() };
        assert_eq!(stage.advance(99), None);
        assert_eq!(stage.advance(1).as_deref(), Some("sealing 10 %  100 B of 1000 B"));
        assert_eq!(stage.advance(50), None);
        assert_eq!(stage.advance(800).as_deref(), Some("sealing 90 %  950 B of 1000 B"));
        assert_eq!(stage.advance(50).as_deref(), Some("sealing 100 %  1000 B of 1000 B"));
        assert_eq!(stage.advance(u64::MAX), None);
        let mut empty = Stage { total_bytes: Some(0), ..Stage::default() };
        assert_eq!(empty.advance(1), None);
        let mut unknown = Stage { name: "sealing", ..Stage::default() };
        assert_eq!(unknown.advance(STEP_BYTES - 1), None);
        assert_eq!(unknown.advance(1).as_deref(), Some("sealing 1.0 GiB"));
    }
}
