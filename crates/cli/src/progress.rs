//! Bars on a terminal; lines elsewhere, for whoever asks for them; and the flag that Ctrl-C sets.

mod lines;

use crate::args::When;
use crate::output::{Output, stderr};
use client::Watch;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lines::Lines;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What an operation reports to.
#[derive(Debug)]
pub struct Terminal {
    bar: Option<ProgressBar>,
    lines: Option<Lines>,
    stop: Arc<AtomicBool>,
    output: Output,
}

impl Terminal {
    /// Catches Ctrl-C and termination from here on: the first asks the operation to clean up, a second one ends the process.
    pub fn new(when: When, quiet: bool, output: Output) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            let code = api::terms::Exit::Interrupted as i32;
            let second = signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&stop));
            if second.and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop))).is_err() {
                stderr("warning: cannot catch signals; an interrupted command leaves its staging behind");
            }
        }
        let mut made = Self::without_signals(Some(when), quiet, output);
        made.stop = stop;
        made
    }

    /// The same for an operation that looks after signals itself.
    pub fn without_signals(when: Option<When>, quiet: bool, output: Output) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let (bar, lines) = match when.unwrap_or(When::Auto) {
            When::Always => (terminal, !terminal),
            When::Never => (false, false),
            When::Auto => (!quiet && terminal, false),
        };
        let bar = bar.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()));
        Self { bar, lines: lines.then(Lines::default), stop: Arc::default(), output }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Watch for Terminal {
    fn stage(&self, name: &'static str, total_bytes: Option<u64>) {
        if let Some(lines) = &self.lines {
            lines.stage(name, total_bytes);
        }
        let Some(bar) = &self.bar else { return };
        let template = match total_bytes {
            Some(_) => "{msg:>10} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            None => "{msg:>10} {spinner} {bytes} {bytes_per_sec}",
        };
        bar.reset();
        match total_bytes {
            Some(total) => bar.set_length(total),
            None => bar.unset_length(),
        }
        bar.set_message(name);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
    }

    fn advance(&self, bytes: u64) {
        if let Some(lines) = &self.lines {
            lines.advance(bytes);
        }
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    fn over(&self) {
        self.clear();
    }

    fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.say(text)),
            None => self.output.say(text),
        }
    }

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
