//! Bytes that are made now and needed later: in memory while they are few, then in a file without a name.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Sealed bytes only: what is spilled lies on a disk.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    memory: Vec<u8>,
    file: Option<File>,
    len: u64,
}

/// Bytes kept in memory.
const MEMORY_LEN: usize = 4 << 20;

impl Spool {
    /// An empty one that spills into `folder`.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), memory: Vec::new(), file: None, len: 0 }
    }

    /// Appends.
    ///
    /// # Errors
    /// The file system's.
    pub fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.memory.extend_from_slice(bytes);
        self.len += bytes.len() as u64;
        if self.memory.len() < MEMORY_LEN {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(nameless(&self.folder)?),
        };
        file.write_all(&self.memory)?;
        self.memory.clear();
        Ok(())
    }

    /// Gives everything to `to`, in order.
    ///
    /// # Errors
    /// The file system's, or those of `to`.
    pub fn drain<E: From<std::io::Error>>(self, mut to: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let spilled = self.len - self.memory.len() as u64;
        if let Some(file) = &self.file {
            let mut buffer = vec![0; 1 << 20];
            let mut at = 0;
            while at < spilled {
                let now = (spilled - at).min(buffer.len() as u64) as usize;
                let part = buffer.get_mut(..now).unwrap_or_default();
                file.read_exact_at(part, at)?;
                to(part)?;
                at += now as u64;
            }
        }
        to(&self.memory)
    }
}

fn nameless(folder: &Path) -> std::io::Result<File> {
    let mut random = [0; 8];
    seal::entropy::fill(&mut random).map_err(std::io::Error::other)?;
    std::fs::create_dir_all(folder)?;
    let path = folder.join(format!("spool-{}", hex::encode(random)));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::{MEMORY_LEN, Spool};

    #[test]
    fn what_went_in_comes_out() {
        let dir = tempfile::tempdir().unwrap();
        for parts in [0usize, 1, 3, 90] {
            let mut spool = Spool::new(dir.path());
            let mut all = Vec::new();
            for n in 0..parts {
                let part = vec![n as u8; MEMORY_LEN / 30 + n];
                spool.append(&part).unwrap();
                all.extend(part);
            }
            let mut out = Vec::new();
            spool
                .drain(|bytes| {
                    out.extend_from_slice(bytes);
                    Ok::<(), std::io::Error>(())
                })
                .unwrap();
            assert!(out == all, "{parts}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
