//! Points in time, as the keeper's clock gave them.

use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last millisecond of the year 9999.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// From milliseconds since the epoch, capped at [`Self::MAX`].
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This long after, capped at [`Self::MAX`].
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }
}

impl TryFrom<u64> for Timestamp {
    type Error = TimeError;

    /// From milliseconds that come from outside.
    fn try_from(millis: u64) -> Result<Self, TimeError> {
        if millis > Self::MAX.0 { Err(TimeError) } else { Ok(Self(millis)) }
    }
}

impl From<Timestamp> for u64 {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, millis) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = civil_from_days(days);
        let (secs, millis) = (millis / 1000, millis % 1000);
        let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// A text that is no point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is 2026-01-31 or 2026-01-31T12:00:00Z")]
pub struct TimeError;

impl std::str::FromStr for Timestamp {
    type Err = TimeError;

    /// A date (midnight UTC), or RFC 3339 in UTC with at most milliseconds.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let number = |digits: &str, len: usize| {
            let plain = digits.len() == len && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<u64>().ok().filter(|_| plain).ok_or(TimeError)
        };
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, time.strip_suffix('Z').ok_or(TimeError)?),
            None => (text, "00:00:00"),
        };
        let fields = |text: &str, by: char| -> Result<(String, String, String), TimeError> {
            let mut parts = text.splitn(3, by).map(str::to_owned);
            let mut next = || parts.next().ok_or(TimeError);
            Ok((next()?, next()?, next()?))
        };
        let (year, month, day) = fields(date, '-')?;
        let (year, month, day) = (number(&year, 4)?, number(&month, 2)?, number(&day, 2)?);
        let (hour, minute, second) = fields(time, ':')?;
        let (second, millis) = second.split_once('.').unwrap_or((&second, "000"));
        let (hour, minute) = (number(&hour, 2)?, number(&minute, 2)?);
        let (second, millis) = (number(second, 2)?, number(millis, 3)?);
        let days = days_from_civil(year, month, day);
        if hour > 23 || minute > 59 || second > 59 || civil_from_days(days) != (year, month, day) || year < 1970 {
            return Err(TimeError);
        }
        Ok(Self::from_millis((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis))
    }
}

/// The reverse of [`civil_from_days`], for years from 1970; anything for dates that do not exist.
const fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year.saturating_sub(1) } else { year };
    let (era, yoe) = (year / 400, year % 400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day.saturating_sub(1);
    (era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy).saturating_sub(719_468)
}

/// Howard Hinnant's `civil_from_days`, for days since 1970-01-01 that are not negative.
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn prints_rfc_3339() {
        let at = |ms| Timestamp::from_millis(ms).to_string();
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(at(u64::MAX), Timestamp::MAX.to_string());
    }

    #[test]
    fn parses_what_it_prints() {
        for ms in [0, 951_782_400_000, 1_700_000_000_123, 253_402_300_799_999] {
            let time = Timestamp::from_millis(ms);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        assert_eq!("2000-02-29".parse(), Ok(Timestamp::from_millis(951_782_400_000)));
        for bad in [
            "",
            "2001-02-29",
            "2000-13-01",
            "2000-1-01",
            "2000-01-01T24:00:00Z",
            "2000-01-01T00:00:00",
            "1969-12-31",
            "x",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }
}
