//! The state of a file, as the file system tells it.

/// Device, inode, size and both times: equal before and after a read means that nobody wrote in between.
///
/// The change time cannot be set by programs, so a file that was rewritten and had its modification time put back still differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Identity {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since the epoch, wrapping.
    pub modified_nanos: u64,
    /// Change time in nanoseconds since the epoch, wrapping.
    pub changed_nanos: u64,
}

impl Identity {
    /// Length of the binary form.
    pub const LEN_BYTES: usize = 40;

    /// From what `stat` answered.
    #[expect(clippy::unnecessary_cast, reason = "the field types differ between systems")]
    pub fn of(stat: &rustix::fs::Stat) -> Self {
        let nanos = |secs: i64, nanos: u64| (secs as u64).wrapping_mul(1_000_000_000).wrapping_add(nanos);
        Self {
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            size: stat.st_size as u64,
            modified_nanos: nanos(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            changed_nanos: nanos(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }

    /// Big-endian fields, one after another.
    pub fn to_bytes(self) -> [u8; Self::LEN_BYTES] {
        let mut out = [0; Self::LEN_BYTES];
        let fields = [self.dev, self.ino, self.size, self.modified_nanos, self.changed_nanos];
        for (to, field) in out.chunks_exact_mut(8).zip(fields) {
            to.copy_from_slice(&field.to_be_bytes());
        }
        out
    }

    /// The reverse of [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8; Self::LEN_BYTES]) -> Self {
        let mut fields = [0u64; 5];
        for (field, from) in fields.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *field = u64::from_be_bytes(*from);
        }
        let [dev, ino, size, modified_nanos, changed_nanos] = fields;
        Self { dev, ino, size, modified_nanos, changed_nanos }
    }
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn the_binary_form_round_trips() {
        let identity = Identity { dev: 1, ino: 2, size: u64::MAX, modified_nanos: 4, changed_nanos: 5 };
        assert_eq!(Identity::from_bytes(&identity.to_bytes()), identity);
    }
}
