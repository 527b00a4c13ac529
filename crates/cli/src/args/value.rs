//! Values of flags that are parsed at the edge.

use std::str::FromStr;

/// `--bytes A-B`: first and last byte, both included, as in HTTP; `A-` runs to the end, `-N` is the last N bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From the first to the last, both included.
    Between(u64, u64),
    /// From here to the end.
    From(u64),
    /// This many at the end.
    Last(u64),
}

impl FromStr for ByteRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "a range is A-B (both included), A- or -N".to_owned();
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<u64>().ok().filter(|_| plain).ok_or_else(bad)
        };
        match text.split_once('-').ok_or_else(bad)? {
            ("", last) => Ok(Self::Last(number(last)?)),
            (first, "") => Ok(Self::From(number(first)?)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    Err("the range ends before it begins".to_owned())
                } else {
                    Ok(Self::Between(first, last))
                }
            }
        }
    }
}

/// `--expect @v3`: where an alias must point now, by number; 0 for nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected(pub u64);

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(0));
        }
        let digits = text.strip_prefix('@').unwrap_or(text).strip_prefix('v').unwrap_or_default();
        let plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| plain);
        number.map(Self).ok_or_else(|| "it is @vN, or none".to_owned())
    }
}

/// `--tag k=v`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// A name.
    pub key: String,
    /// Any text.
    pub value: String,
}

impl FromStr for Tag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("a tag is KEY=VALUE")?;
        key.parse::<api::terms::Name>().map_err(|e| e.to_string())?;
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

/// `--context name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Any name.
    pub name: String,
    /// Any text.
    pub value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("it is NAME=VALUE")?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// `--assert mfa=none|now`: whether somebody proved to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asserted {
    /// Nobody did.
    Absent,
    /// Just now.
    Present,
}

impl FromStr for Asserted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "mfa=none" => Ok(Self::Absent),
            "mfa=now" => Ok(Self::Present),
            _ => Err("what can be asserted is mfa=none or mfa=now".to_owned()),
        }
    }
}

/// A span of time: a number with `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration {
    /// In seconds.
    pub secs: u64,
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "a span of time is a number with s, m, h or d, as in 24h".to_owned();
        let unit = text.chars().last().ok_or_else(bad)?;
        let factor = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(bad()),
        };
        let digits = text.strip_suffix(unit).filter(|d| d.bytes().all(|b| b.is_ascii_digit())).ok_or_else(bad)?;
        let secs = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).ok_or_else(bad)?;
        Ok(Self { secs })
    }
}

/// A number of bytes: a number with `KiB`, `MiB`, `GiB` or `TiB`, or of bytes without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// In bytes.
    pub bytes: u64,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "a size is a number with KiB, MiB, GiB or TiB, as in 16GiB".to_owned();
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
        let named = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
        let (digits, shift) = named.unwrap_or((text, 0));
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits.parse::<u64>().ok().filter(|_| plain);
        let bytes = number.and_then(|n| n.checked_mul(1 << shift)).filter(|bytes| *bytes > 0).ok_or_else(bad)?;
        Ok(Self { bytes })
    }
}

/// A part of a whole: `5%`, `0.5%`; more than nothing, at most all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent {
    /// In millionths.
    pub millionths: u32,
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "a part is a number of percent from 0.0001% to 100%, as in 5%".to_owned();
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.strip_suffix('%').ok_or_else(bad)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        if !digits(whole) || !digits(part) || whole.len() > 3 || part.len() > 4 {
            return Err(bad());
        }
        let part: u32 = format!("{part:0<4}").parse().map_err(|_| bad())?;
        let millionths = whole.parse::<u32>().map_err(|_| bad())? * 10_000 + part;
        if (1..=1_000_000).contains(&millionths) { Ok(Self { millionths }) } else { Err(bad()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Asserted, ByteRange, Duration, Percent, Size, Tag};

    #[test]
    fn sizes_are_of_powers_of_two() {
        assert_eq!("16GiB".parse(), Ok(Size { bytes: 16 << 30 }));
        assert_eq!("4096".parse(), Ok(Size { bytes: 4096 }));
        for bad in ["", "0", "GiB", "1GB", "-1KiB", "1.5GiB", "99999999TiB", "+1"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_part_is_in_percent() {
        let parsed = |text: &str| text.parse::<Percent>().map(|part| part.millionths);
        assert_eq!(
            [parsed("5%"), parsed("0.5%"), parsed("100%"), parsed("0.0001%")],
            [50_000, 5_000, 1_000_000, 1].map(Ok)
        );
        for bad in ["", "5", "%", "0%", "100.1%", "-1%", "5%%", "0.00001%", "1e1%", "5.%", "1000%"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_are_inclusive_like_http() {
        assert_eq!("0-0".parse(), Ok(ByteRange::Between(0, 0)));
        assert_eq!("5-".parse(), Ok(ByteRange::From(5)));
        assert_eq!("-5".parse(), Ok(ByteRange::Last(5)));
        for bad in ["", "-", "5", "6-5", "a-b", "+1-2", "1-2-3", "18446744073709551616-"] {
            assert!(bad.parse::<ByteRange>().is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_have_a_unit() {
        assert_eq!("90m".parse(), Ok(Duration { secs: 5_400 }));
        assert_eq!("0s".parse(), Ok(Duration { secs: 0 }));
        for bad in ["", "5", "h", "-1h", "1w", "18446744073709551615d"] {
            assert!(bad.parse::<Duration>().is_err(), "{bad}");
        }
    }

    #[test]
    fn presence_is_none_or_now() {
        assert_eq!(["mfa=none".parse(), "mfa=now".parse()], [Ok(Asserted::Absent), Ok(Asserted::Present)]);
        for bad in ["", "mfa", "mfa=", "mfa=yes", "none", "MFA=now", "mfa=now,mfa=none"] {
            assert!(bad.parse::<Asserted>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tag_key_is_a_name() {
        assert_eq!("a=b=c".parse(), Ok(Tag { key: "a".into(), value: "b=c".into() }));
        assert!("=x".parse::<Tag>().is_err() && "x".parse::<Tag>().is_err());
    }
}
