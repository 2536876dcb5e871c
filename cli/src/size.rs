//! Sizes as people write them.

/// Units, largest first, so that a size is written with the largest that fits.
const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Reads `64MiB`, `1 GiB`, `4096`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| text.strip_suffix(name).map(|number| (number, *unit)))
        .unwrap_or((text.strip_suffix('B').unwrap_or(text), 1));
    let number: u64 = number
        .trim_end()
        .parse()
        .map_err(|_| "must be a whole number of bytes, or one with KiB, MiB, GiB or TiB behind it".to_string())?;
    number.checked_mul(unit).ok_or_else(|| "is too large".to_string())
}

/// Writes a size with its unit.
pub(crate) fn show(bytes: u64) -> String {
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        // Sizes need three digits, not exactness: the exact number is in the JSON form.
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("12B"), Ok(12));
        assert_eq!(parse("64MiB"), Ok(64 << 20));
        assert_eq!(parse("1 GiB"), Ok(1 << 30));
        assert_eq!(parse("3KiB"), Ok(3072));
        for wrong in ["", "MiB", "-1", "1.5GiB", "64MB", "x", "99999999999TiB"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn sizes_are_written() {
        assert_eq!(show(0), "0 B");
        assert_eq!(show(1023), "1023 B");
        assert_eq!(show(1536), "1.5 KiB");
        assert_eq!(show(64 << 20), "64.0 MiB");
    }
}
