//! What the benches share: files in memory, a depot that overwrites them, medians.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use depot::{Entry, Id, Key, Object, Result, Store, Sweep, Swept, Upload};

pub const BLOCK: usize = 1 << 20;
pub const THREADS: usize = 2;

/// A store whose every object is one file that exists already and is overwritten: no fresh pages are measured.
#[derive(Debug, Clone)]
pub struct Warm {
    pub file: Arc<File>,
    pub len: u64,
}

impl Store for Warm {
    fn create(&self, _: &Key) -> Result<Box<dyn Upload>> {
        Ok(Box::new(self.clone()))
    }
    fn replace(&self, _: &Key) -> Result<Box<dyn Upload>> {
        Ok(Box::new(self.clone()))
    }
    fn open(&self, key: &Key) -> Result<Box<dyn Object>> {
        Ok(Box::new(WarmObject { file: Arc::clone(&self.file), key: *key, len: self.len }))
    }
    fn delete(&self, _: &Key) -> Result<()> {
        Ok(())
    }
    fn list(&self, _: &Id, _: Option<&Key>, _: usize) -> Result<Vec<Entry>> {
        Ok(Vec::new())
    }
    fn sweep(&self, _: &Id, _: SystemTime, _: Sweep) -> Result<Swept> {
        Ok(Swept::default())
    }
}

impl Upload for Warm {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).expect("write");
        Ok(())
    }
    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct WarmObject {
    file: Arc<File>,
    key: Key,
    len: u64,
}

impl Object for WarmObject {
    fn key(&self) -> &Key {
        &self.key
    }
    fn len_bytes(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(buf, offset).expect("read");
        Ok(())
    }
}

/// A folder in memory that goes with the value.
pub struct Shared(pub PathBuf);

impl Shared {
    pub fn new(name: &str) -> Self {
        let path = Path::new("/dev/shm").join(format!("strongroom-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("folder in /dev/shm");
        Self(path)
    }

    /// A file of incompressible bytes.
    pub fn random(&self, name: &str, len: u64) -> Arc<File> {
        let file = self.file(name);
        let mut block = vec![0; BLOCK];
        let mut dice = testkit::fault::Dice::new(len);
        let mut at = 0;
        while at < len {
            dice.fill(&mut block);
            let now = BLOCK.min((len - at) as usize);
            file.write_all_at(&block[..now], at).expect("write");
            at += now as u64;
        }
        file
    }

    pub fn file(&self, name: &str) -> Arc<File> {
        let path = self.0.join(name);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        Arc::new(file.expect("file in /dev/shm"))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `work(block number, offset, length, thread's buffer)` over all blocks on two threads; answers the seconds.
pub fn over_blocks(len: u64, work: impl Fn(u64, u64, usize, &mut Thread) + Sync) -> f64 {
    let next = AtomicU64::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut thread = Thread { buffer: vec![0; BLOCK], scratch: depot::sealed::Scratch::default() };
                loop {
                    let block = next.fetch_add(1, Ordering::Relaxed);
                    let offset = block * BLOCK as u64;
                    if offset >= len {
                        return;
                    }
                    work(block, offset, BLOCK.min((len - offset) as usize), &mut thread);
                }
            });
        }
    });
    start.elapsed().as_secs_f64()
}

pub struct Thread {
    pub buffer: Vec<u8>,
    pub scratch: depot::sealed::Scratch,
}

pub fn copy(from: &File, to: &File, len: u64) -> f64 {
    over_blocks(len, |_, offset, now, thread| {
        let buffer = &mut thread.buffer[..now];
        from.read_exact_at(buffer, offset).expect("read");
        to.write_all_at(buffer, offset).expect("write");
    })
}

/// Seconds of CPU that this process has used: what a busy machine does not blur.
pub fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
