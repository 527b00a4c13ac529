//! Writing one object of a bucket: out-of-order writes become fixed parts, in bounded memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::{MultipartId, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use super::{Bucket, map};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::{Taken, Upload};

/// An upload that collects parts and sends each as soon as it is full.
pub(super) struct BucketUpload {
    bucket: Bucket,
    key: Key,
    taken: Taken,
    progress: Arc<Progress>,
}

/// What the writers share with the parts on their way.
struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    open: BTreeMap<u64, Part>,
    sent: BTreeMap<u64, PartId>,
    on_their_way: usize,
    written: u64,
    end: u64,
    multipart: Option<MultipartId>,
    failed: Option<object_store::Error>,
    /// A write was refused or a part failed: finishing is refused.
    broken: bool,
    complete: bool,
}

struct Part {
    bytes: Vec<u8>,
    filled: usize,
}

impl BucketUpload {
    /// Begins to collect; no request is made yet.
    pub(super) fn start(bucket: Bucket, key: Key, taken: Taken) -> Self {
        let progress = Progress { state: Mutex::new(State::default()), changed: Condvar::new() };
        Self { bucket, key, taken, progress: Arc::new(progress) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.progress.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn part_len(&self) -> u64 {
        self.bucket.shared.part_len as u64
    }

    /// Copies a write into its parts and sends those that it filled.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(Error::Misuse { what: "an offset past 2^64" })?;
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let index = at / self.part_len();
            let within = usize::try_from(at % self.part_len()).unwrap_or(0);
            let (now, later) = rest.split_at(rest.len().min(self.bucket.shared.part_len - within));
            self.copy(index, within, now, end)?;
            at += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    fn copy(&self, index: u64, within: usize, bytes: &[u8], end: u64) -> Result<()> {
        let part_len = self.bucket.shared.part_len;
        let mut state = self.room_for(index)?;
        state.open.entry(index).or_insert_with(|| Part { bytes: vec![0; part_len], filled: 0 });
        match state.open.get_mut(&index) {
            Some(part) => {
                let Some(target) = part.bytes.get_mut(within..within + bytes.len()) else { return Err(BUG) };
                target.copy_from_slice(bytes);
                part.filled += bytes.len();
            }
            None => return Err(BUG),
        }
        state.written += bytes.len() as u64;
        state.end = state.end.max(end);
        // Part 0 waits while it may be the whole object.
        if state.end > self.part_len() {
            self.send_full_parts(state)?;
        }
        Ok(())
    }

    /// Waits until part `index` is open or may be opened.
    ///
    /// The lowest part may always be opened: whoever writes the first byte that is still missing never waits for those who ran ahead.
    fn room_for(&self, index: u64) -> Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        loop {
            if let Some(error) = state.failed.take() {
                return Err(map(error, self.key.into()));
            }
            if state.broken {
                return Err(Error::Unavailable { place: self.key.into(), source: Box::new(Earlier) });
            }
            if state.sent.contains_key(&index) {
                return Err(Error::Misuse { what: "a byte was written twice" });
            }
            let lowest = state.open.keys().next().is_none_or(|lowest| index < *lowest);
            if state.open.contains_key(&index)
                || state.open.len() < MAX_OPEN_PARTS
                || (lowest && state.open.len() < MOST_OPEN_PARTS)
            {
                return Ok(state);
            }
            if state.open.len() >= MOST_OPEN_PARTS {
                return Err(SCATTERED);
            }
            let (guard, waited) =
                self.progress.changed.wait_timeout(state, MAX_WAIT).unwrap_or_else(PoisonError::into_inner);
            if waited.timed_out() {
                return Err(SCATTERED);
            }
            state = guard;
        }
    }

    /// Sends every full part, waiting while too many are on their way.
    fn send_full_parts<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<()> {
        let part_len = self.bucket.shared.part_len;
        loop {
            let full = state.open.iter().find(|(_, part)| part.filled >= part_len).map(|(index, _)| *index);
            let Some(part) = full.and_then(|index| Some((index, state.open.remove(&index)?))) else { return Ok(()) };
            self.progress.changed.notify_all();
            state = self.send(state, part.0, part.1.bytes.into())?;
        }
    }

    fn send<'a>(&'a self, mut state: MutexGuard<'a, State>, index: u64, bytes: Bytes) -> Result<MutexGuard<'a, State>> {
        let path = self.bucket.path(&self.key);
        let id = match &state.multipart {
            Some(id) => id.clone(),
            None => {
                let path = path.clone();
                let id =
                    self.bucket.run(self.key.into(), |client| async move { client.create_multipart(&path).await })?;
                state.multipart.insert(id).clone()
            }
        };
        while state.on_their_way >= MAX_PARTS_ON_THEIR_WAY && state.failed.is_none() {
            state = self.progress.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.on_their_way += 1;
        let number = usize::try_from(index).map_err(|_| BUG)?;
        let client = Arc::clone(&self.bucket.shared.client);
        let progress = Arc::clone(&self.progress);
        self.bucket.shared.events.spawn(async move {
            let outcome = client.put_part(&path, &id, number, bytes.into()).await;
            let mut state = progress.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.on_their_way -= 1;
            match outcome {
                Ok(part) => {
                    state.sent.insert(index, part);
                }
                Err(error) => {
                    state.broken = true;
                    state.failed.get_or_insert(error);
                }
            }
            drop(state);
            progress.changed.notify_all();
        });
        Ok(state)
    }

    /// One request for an object of at most one part.
    fn put_whole(&self, bytes: Bytes) -> Result<()> {
        let path = self.bucket.path(&self.key);
        let sent = bytes.clone();
        let mode = if self.taken == Taken::Refused { PutMode::Create } else { PutMode::Overwrite };
        let put = self.bucket.run(self.key.into(), |client| async move {
            let create = PutOptions { mode, ..PutOptions::default() };
            match client.put_opts(&path, sent.clone().into(), create).await {
                Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => {
                    client.put(&path, sent.into()).await
                }
                other => other,
            }
        });
        match put {
            // A repeated request may meet its own first attempt.
            Err(Error::AlreadyExists { place }) if !self.holds(&bytes)? => Err(Error::AlreadyExists { place }),
            Ok(_) | Err(Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the bucket holds exactly these bytes under the key.
    fn holds(&self, bytes: &Bytes) -> Result<bool> {
        match self.bucket.length(&self.key)? {
            Some(len) if len == bytes.len() as u64 => {}
            _ => return Ok(false),
        }
        Ok(bytes.is_empty() || self.bucket.range(&self.key, 0, bytes.len() as u64)?.0 == bytes)
    }

    /// Sends the last part, waits for all of them, and completes the upload.
    fn complete_parts<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<()> {
        let place = self.key.into();
        let end = state.end;
        if let Some((index, mut part)) = state.open.pop_first() {
            part.bytes.truncate(part.filled);
            state = self.send(state, index, part.bytes.into())?;
        }
        while state.on_their_way > 0 {
            state = self.progress.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(error) = state.failed.take() {
            return Err(map(error, place));
        }
        let parts: Vec<PartId> = std::mem::take(&mut state.sent).into_values().collect();
        let id = state.multipart.clone().ok_or(BUG)?;
        if parts.len() as u64 != end.div_ceil(self.part_len()) {
            return Err(Error::Misuse { what: HOLE });
        }
        drop(state);
        // Parts have no create-only mode, so an object that is there already is looked for.
        if self.taken == Taken::Refused && self.bucket.length(&self.key)?.is_some() {
            return Err(Error::AlreadyExists { place });
        }
        let path = self.bucket.path(&self.key);
        let completed =
            self.bucket.run(place, |client| async move { client.complete_multipart(&path, &id, parts).await });
        // The answer to a completion may be lost, and a repeated one fails because the upload is gone: the object's length decides both,
        // unless one of that length may have been there before.
        let told = self.taken == Taken::Refused || completed.is_ok();
        match self.bucket.length(&self.key)? {
            Some(len) if len == end && told => {
                self.lock().complete = true;
                Ok(())
            }
            found => Err(completed.err().unwrap_or_else(|| Error::PastEnd {
                key: self.key,
                offset: 0,
                len: end,
                object_len: found.unwrap_or(0),
            })),
        }
    }
}

impl Upload for BucketUpload {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let outcome = self.write(offset, bytes);
        if outcome.is_err() {
            self.lock().broken = true;
            self.progress.changed.notify_all();
        }
        outcome
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let mut state = self.lock();
        if let Some(error) = state.failed.take() {
            return Err(map(error, self.key.into()));
        }
        if state.broken {
            return Err(Error::Misuse { what: "an upload was finished after a failed write" });
        }
        if state.written != state.end || state.open.len() > 1 {
            return Err(Error::Misuse { what: HOLE });
        }
        if state.multipart.is_some() {
            return self.complete_parts(state);
        }
        let mut whole = state.open.pop_first().map(|(_, part)| part.bytes).unwrap_or_default();
        whole.truncate(usize::try_from(state.end).map_err(|_| BUG)?);
        drop(state);
        self.put_whole(whole.into())
    }
}

impl Drop for BucketUpload {
    fn drop(&mut self) {
        let mut state = self.lock();
        let Some(id) = state.multipart.take().filter(|_| !state.complete) else { return };
        drop(state);
        let path = self.bucket.path(&self.key);
        let client = Arc::clone(&self.bucket.shared.client);
        self.bucket.shared.events.spawn(async move {
            // What is not aborted here, the bucket's life-cycle rule aborts.
            let _ = client.abort_multipart(&path, &id).await;
        });
    }
}

const BUG: Error = Error::Bug { what: "a part is not where it should be" };

const HOLE: &str = "an upload with a hole or an overlap was finished";

/// What writers are told when another writer of the same upload met the cause.
#[derive(Debug, thiserror::Error)]
#[error("an earlier write of this upload failed")]
struct Earlier;

const SCATTERED: Error = Error::Misuse { what: "writes are spread over too many parts at a time" };

/// Parts that may be partly filled before writers wait for those behind them.
const MAX_OPEN_PARTS: usize = 4;

/// Parts that may be partly filled when late writers open lower ones.
const MOST_OPEN_PARTS: usize = 8;

/// How long a writer waits for those behind it.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// Parts that may be on their way at a time.
const MAX_PARTS_ON_THEIR_WAY: usize = 3;
