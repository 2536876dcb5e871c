//! Times as people write them behind an `@`.

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Reads ms since 1970, a date as `2010-12-01`, or a date and time in UTC as `2010-12-01T08:26:00.5Z`.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let wrong = || "a time is ms since 1970, or UTC as 2010-12-01 or 2010-12-01T08:26:00Z".to_string();
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    let (date, time) = text.split_once(['T', ' ']).map_or((text, None), |(date, time)| (date, Some(time)));
    let days = days(date).ok_or_else(wrong)?;
    let of_day = time.map_or(Some(0), of_day).ok_or_else(wrong)?;
    Ok(days * DAY + of_day)
}

/// A number of so many digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let whole = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| text.parse().ok())?
}

/// Days since 1970 of a date in the Gregorian calendar.
fn days(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if parts.next().is_some() || !(1..=length).contains(&day) {
        return None;
    }
    // Leap days before the year, counted from year 0.
    let leap_days = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let years = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    Some(years + lengths[..(month - 1) as usize].iter().sum::<i64>() + day - 1)
}

fn of_day(time: &str) -> Option<i64> {
    let time = time.strip_suffix('Z').unwrap_or(time);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |second| digits(second, 2))?;
    let ms = digits(fraction, fraction.len()).filter(|_| (1..=9).contains(&fraction.len()))?;
    let ms = ms * 1000 / 10i64.pow(fraction.len() as u32);
    let whole = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    whole.then_some(((hour * 60 + minute) * 60 + second) * 1000 + ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, ms) in [
            ("0", 0),
            ("-5", -5),
            ("1291191960000", 1_291_191_960_000),
            ("1970-01-01", 0),
            ("1969-12-31", -DAY),
            ("2000-03-01", 951_868_800_000),
            ("2010-12-01T08:26:00Z", 1_291_191_960_000),
            ("2010-12-01 08:26", 1_291_191_960_000),
            ("2024-02-29T23:59:59.25Z", 1_709_251_199_250),
        ] {
            assert_eq!(parse(text), Ok(ms), "{text}");
        }
        for wrong in [
            "",
            "today",
            "2010-13-01",
            "2010-02-29",
            "2010-12-01T24:00:00Z",
            "2010-12-01T08",
            "10-1-1",
            "2010-12-01T08:26:00+01:00",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
