//! Sizes as people write them.

/// Units, largest first, so that a size is written with the largest that divides it.
const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Reads `100`, `16KiB`, `1 GiB`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| text.strip_suffix(name).map(|number| (number, *unit)))
        .unwrap_or((text.strip_suffix('B').unwrap_or(text), 1));
    let number: u64 = number
        .trim_end()
        .parse()
        .map_err(|_| "must be a whole number of bytes, or one with KiB, MiB, GiB or TiB behind it".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "is too large".to_owned())
}

/// Writes a size exactly, as it would be read.
pub(crate) fn exact(bytes: u64) -> String {
    match UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

/// Writes a size with one decimal.
pub(crate) fn about(bytes: u64) -> String {
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [("100", 100), ("16KiB", 16 << 10), ("1 GiB", 1 << 30), ("12B", 12)] {
            assert_eq!(parse(text), Ok(bytes));
        }
        for wrong in ["", "KiB", "-1", "1.5GiB", "64MB", "99999999999TiB"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        for bytes in [0, 100, 1000, 1 << 10, 16 << 10, 3 << 30] {
            assert_eq!(parse(&exact(bytes)), Ok(bytes));
        }
        assert_eq!(about(1536), "1.5 KiB");
    }
}
