//! One thread that drives the asynchronous client for blocking callers.

use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::error::{Error, Place, Result};

/// The running thread. Dropping it stops the thread.
pub(super) struct EventLoop {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EventLoop {
    /// Starts the thread.
    pub(super) fn start() -> Result<Self> {
        let failed = |source| Error::Failed { place: Place::Depot, source: Box::new(source) };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("depot-bucket".into()).spawn(move || {
            // Ends when the sender is dropped.
            let _ = runtime.block_on(stopped);
        });
        Ok(Self { handle, stop: Some(stop), thread: Some(thread.map_err(failed)?) })
    }

    /// Runs a future there and waits for its answer.
    pub(super) fn run<F>(&self, future: F, place: Place) -> Result<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.run_within(future, place, None)
    }

    /// As [`Self::run`], for at most so long; the request is given up then.
    pub(super) fn run_within<F>(&self, future: F, place: Place, limit: Option<Duration>) -> Result<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (answer, answered) = sync_channel(1);
        let task = self.handle.spawn(async move {
            // Nobody waits any more if this fails.
            let _ = answer.send(future.await);
        });
        let Some(limit) = limit else {
            return answered.recv().map_err(|lost| Error::Unavailable { place, source: Box::new(lost) });
        };
        answered.recv_timeout(limit).map_err(|late| {
            task.abort();
            Error::Unavailable { place, source: Box::new(late) }
        })
    }

    /// Runs a future there without waiting.
    pub(super) fn spawn<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.handle.spawn(future);
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic there was told to whoever waited.
            let _ = thread.join();
        }
    }
}
