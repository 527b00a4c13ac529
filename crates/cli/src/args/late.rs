//! Arguments of a command that are only made when it may be called: making those of every command is a tenth of a small one.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};
use std::cell::RefCell;
use std::ffi::OsString;

thread_local! {
    /// The words of the command line while its commands are made; none makes the arguments of all.
    static WORDS: RefCell<Option<Vec<OsString>>> = const { RefCell::new(None) };
}

/// What `make` makes, where only commands whose names are among these words have their arguments.
pub fn called_by<T>(words: &[OsString], make: impl FnOnce() -> T) -> T {
    WORDS.with_borrow_mut(|held| *held = Some(words.to_vec()));
    let made = make();
    WORDS.with_borrow_mut(|held| *held = None);
    made
}

fn may_be_called(command: &Command) -> bool {
    WORDS.with_borrow(|words| words.as_ref().is_none_or(|words| words.iter().any(|word| word == command.get_name())))
}

/// Arguments, or commands below a command, of type `T`.
#[derive(Debug)]
pub struct Late<T>(pub T);

impl<T: FromArgMatches> FromArgMatches for Late<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Args> Args for Late<T> {
    fn augment_args(command: Command) -> Command {
        if may_be_called(&command) { T::augment_args(command) } else { command }
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

impl<T: Subcommand> Subcommand for Late<T> {
    fn augment_subcommands(command: Command) -> Command {
        if may_be_called(&command) { T::augment_subcommands(command) } else { command }
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        T::augment_subcommands_for_update(command)
    }

    fn has_subcommand(name: &str) -> bool {
        T::has_subcommand(name)
    }
}
