//! Lines of the table with dates: a value, or a value from a date on, until another.

use api::terms::Timestamp;
use std::str::FromStr;

/// The most entries of one line.
pub(super) const MAX_ENTRIES: usize = 16;

/// When something holds: from the beginning of one moment to before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Span {
    /// From two dates as they are written.
    pub(super) fn parse(from: Option<&str>, until: Option<&str>) -> Result<Self, String> {
        let time = |text: &str| Timestamp::from_str(text).map_err(|error| format!("`{text}`: {error}"));
        let (from, until) = (from.map(time).transpose()?, until.map(time).transpose()?);
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            return Err("what holds `from` a date ends `until` a later one".to_owned());
        }
        Ok(Self { from, until })
    }

    fn holds(self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

/// A value and when it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dated<T> {
    pub(super) what: T,
    pub(super) span: Span,
}

/// Several values, each of which holds at its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Among<T>(Vec<Dated<T>>);

impl<T: Copy + PartialEq> Among<T> {
    pub(super) fn new(entries: Vec<Dated<T>>) -> Result<Self, String> {
        if entries.len() > MAX_ENTRIES {
            return Err(format!("a line has at most {MAX_ENTRIES} entries"));
        }
        Ok(Self(entries))
    }

    /// Those that hold then.
    pub(super) fn at(&self, at: Timestamp) -> impl Iterator<Item = T> + '_ {
        self.0.iter().filter(move |entry| entry.span.holds(at)).map(|entry| entry.what)
    }

    /// Whether this one does.
    pub(super) fn has(&self, what: T, at: Timestamp) -> bool {
        self.at(at).any(|held| held == what)
    }

    /// Every value that ever holds.
    pub(super) fn all(&self) -> impl Iterator<Item = T> + '_ {
        self.0.iter().map(|entry| entry.what)
    }

    /// When anything changes.
    pub(super) fn dates(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.0.iter().flat_map(|entry| entry.span.from.into_iter().chain(entry.span.until))
    }
}

/// One value at every time: of entries that hold together the one that began last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Steps<T> {
    first: T,
    then: Vec<(Timestamp, T)>,
}

/// Why there is no such value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoSteps {
    /// More entries than a line has, or two that begin together.
    Form(String),
    /// Nothing holds from then on.
    Gap(Timestamp),
}

impl<T: Copy + PartialEq> Steps<T> {
    pub(super) fn new(entries: Vec<Dated<T>>) -> Result<Self, NoSteps> {
        let among = Among::new(entries).map_err(NoSteps::Form)?;
        let mut dates: Vec<Timestamp> = among.dates().chain([BEGINNING]).collect();
        dates.sort_unstable();
        dates.dedup();
        let mut steps = Vec::with_capacity(dates.len());
        for date in dates {
            let mut holding: Vec<&Dated<T>> = among.0.iter().filter(|entry| entry.span.holds(date)).collect();
            holding.sort_by_key(|entry| entry.span.from);
            let last = holding.pop().ok_or(NoSteps::Gap(date))?;
            if holding.last().is_some_and(|other| other.span.from == last.span.from) {
                return Err(NoSteps::Form("two entries begin together: which one holds is not said".to_owned()));
            }
            steps.push((date, last.what));
        }
        let mut steps = steps.into_iter();
        let (_, first) = steps.next().ok_or(NoSteps::Gap(BEGINNING))?;
        Ok(Self { first, then: steps.collect() })
    }

    pub(super) fn at(&self, at: Timestamp) -> T {
        self.then.iter().rev().find(|(date, _)| *date <= at).map_or(self.first, |(_, what)| *what)
    }

    pub(super) fn dates(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.then.iter().map(|(date, _)| *date)
    }

    /// Every value that ever holds.
    pub(super) fn all(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::once(self.first).chain(self.then.iter().map(|(_, what)| *what))
    }
}

/// Before every date of a table.
pub(super) const BEGINNING: Timestamp = Timestamp::from_millis(0);
