//! What a thread does with a block: read, verify, decrypt, write.

use super::feed::{Block, Part};
use crate::dest::{LastFolder, Stage};
use crate::fault;
use api::wire::Problem;
use depot::sealed::Scratch;
use zeroize::Zeroizing;

/// One thread's buffers.
pub(super) struct Worker<'a> {
    stage: Option<&'a Stage>,
    folder: LastFolder,
    /// Wiped at the end, and never grown in place, which would leave a copy behind.
    buffer: Zeroizing<Vec<u8>>,
    scratch: Scratch,
}

impl<'a> Worker<'a> {
    pub(super) fn new(stage: Option<&'a Stage>) -> Self {
        Self { stage, folder: LastFolder::default(), buffer: Zeroizing::default(), scratch: Scratch::default() }
    }

    /// Writes a block's files; answers how many bytes that were.
    pub(super) fn process(&mut self, block: Block) -> Result<u64, Problem> {
        let outside = || fault::internal("cannot read a segment", "a part outside the block");
        if let [part] = block.parts.as_slice() {
            return self.in_steps(&block, part);
        }
        let len = usize::try_from(block.len).map_err(|_| outside())?;
        self.fit(len);
        let plain = self.buffer.get_mut(..len).ok_or_else(outside)?;
        block
            .reader
            .read(block.start, plain, &mut self.scratch)
            .map_err(|e| fault::sealed("cannot read a segment", &e))?;
        let mut bytes = 0;
        for part in &block.parts {
            let (from, to) = (part.at as usize, (part.at + part.len) as usize);
            let plain = plain.get(from..to).ok_or_else(outside)?;
            part.file.write(part.offset, plain, self.stage, &mut self.folder)?;
            bytes += part.len;
        }
        Ok(bytes)
    }

    /// Writes a block that is one part of one file, in steps that are still in the cache when they are written.
    fn in_steps(&mut self, block: &Block, part: &Part) -> Result<u64, Problem> {
        let outside = || fault::internal("cannot read a segment", "a part outside the block");
        let start = block.start.checked_add(part.at).ok_or_else(outside)?;
        let mut done = 0;
        while done < part.len {
            let step = (part.len - done).min(STEP_LEN - (start + done) % STEP_LEN);
            let len = usize::try_from(step).map_err(|_| outside())?;
            self.fit(len);
            let plain = self.buffer.get_mut(..len).ok_or_else(outside)?;
            let read = block.reader.read(start + done, plain, &mut self.scratch);
            read.map_err(|e| fault::sealed("cannot read a segment", &e))?;
            part.file.write(part.offset + done, plain, self.stage, &mut self.folder)?;
            done += step;
        }
        Ok(done)
    }

    fn fit(&mut self, len: usize) {
        if self.buffer.len() < len {
            self.buffer = Zeroizing::new(vec![0; len]);
        }
    }
}

/// Bytes of a step: with as many sealed ones beside them, two threads fit into the cache of the core that they share.
const STEP_LEN: u64 = 256 << 10;
