//! How much memory there is.

/// `MemTotal` and `MemAvailable`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) total: u64,
    pub(super) available: u64,
}

impl Memory {
    /// Of this machine; none if it does not tell.
    pub(super) fn of_this_machine() -> Option<Self> {
        Self::told(&std::fs::read_to_string("/proc/meminfo").ok()?)
    }

    fn told(text: &str) -> Option<Self> {
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.trim_start_matches(':').trim().strip_suffix("kB")?.trim().parse().ok()?;
            kib.checked_mul(1024)
        };
        Some(Self { total: of("MemTotal")?, available: of("MemAvailable")? })
    }

    /// The most bytes of a room: half of the memory, or what the inputs take and a quarter beside them, but never all of it.
    pub(super) fn size_for(self, inputs: u64) -> u64 {
        let wanted = (self.total / 2).max(inputs.saturating_add(self.total / 4));
        wanted.min(self.total / 20 * 19)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        let text = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    600 kB\n";
        let memory = Memory::told(text).unwrap();
        assert_eq!(memory, Memory { total: 1_024_000, available: 614_400 });
        assert_eq!(memory.size_for(0), 512_000);
        assert_eq!(memory.size_for(500_000), 756_000);
        assert_eq!(memory.size_for(u64::MAX), 972_800);
        assert_eq!(Memory::told("MemTotal: 1 kB\n"), None);
        assert!(Memory::of_this_machine().is_some());
    }
}
