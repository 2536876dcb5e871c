//! Where values stand on a plot.

/// Maps values to places, evenly or by powers of ten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
    powers: bool,
}

impl Scale {
    /// From zero to a little more than `most`.
    pub(super) fn even(most: f64, from: f64, to: f64) -> Scale {
        let most = if most > 0.0 && most.is_finite() { most } else { 1.0 };
        let step = step(most);
        Scale { least: 0.0, most: (most / step).ceil() * step, from, to, powers: false }
    }

    /// By powers of ten, from the one below `least` to the one above `most`.
    pub(super) fn powers(least: f64, most: f64, from: f64, to: f64) -> Scale {
        let least = if least > 0.0 && least.is_finite() { least } else { 0.1 };
        let low = least.log10().floor();
        let high = most.max(least).log10().ceil().max(low + 1.0);
        Scale { least: low, most: high, from, to, powers: true }
    }

    /// Where a value stands.
    pub(super) fn at(&self, value: f64) -> f64 {
        let value = if self.powers { value.max(1e-9).log10() } else { value };
        let part = (value - self.least) / (self.most - self.least);
        self.from + part.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Values to write on the axis.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if self.powers {
            return (self.least as i32..=self.most as i32).map(|power| 10_f64.powi(power)).collect();
        }
        let step = step(self.most);
        (0..=(self.most / step).round() as u32).map(|number| f64::from(number) * step).collect()
    }
}

/// Between two ticks: 1, 2 or 5 of some power of ten, so that there are three to six.
fn step(most: f64) -> f64 {
    let power = 10_f64.powf((most / 5.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| most / step <= 5.0).unwrap_or(power)
}

/// A number as short as it can be on an axis.
pub(super) fn short(value: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    let (value, unit) =
        units.iter().find(|(unit, _)| value >= *unit).map_or((value, ""), |(by, name)| (value / by, *name));
    let text = match value {
        0.0 => "0".to_owned(),
        small if small < 10.0 => format!("{small:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        large if large < 100.0 => format!("{large:.1}").trim_end_matches(".0").to_owned(),
        large => format!("{large:.0}"),
    };
    text + unit
}

/// A time as short as it can be. Takes microseconds.
pub(super) fn time(us: f64) -> String {
    match us {
        us if us < 1.0 => format!("{} ns", short(us * 1e3)),
        us if us < 1e3 => format!("{} us", short(us)),
        us if us < 1e6 => format!("{} ms", short(us / 1e3)),
        us => format!("{} s", short(us / 1e6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_cover_what_is_shown() {
        for most in [0.3, 1.0, 7.0, 12.0, 99.0, 123_456.0] {
            let scale = Scale::even(most, 0.0, 100.0);
            let ticks = scale.ticks();
            assert!((3..=7).contains(&ticks.len()), "{most}: {ticks:?}");
            assert_eq!((ticks[0], scale.at(0.0)), (0.0, 0.0));
            assert!(ticks[ticks.len() - 1] >= most && scale.at(most) <= 100.0);
        }
        let scale = Scale::powers(3.0, 2000.0, 100.0, 0.0);
        assert_eq!(scale.ticks(), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        assert_eq!((scale.at(1.0), scale.at(100.0), scale.at(10_000.0)), (100.0, 50.0, 0.0));
        assert!(Scale::powers(0.0, f64::NAN, 0.0, 1.0).at(0.0).is_finite());
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(0.0, "0"), (0.25, "0.25"), (12.0, "12"), (1500.0, "1.5k"), (2e6, "2M")] {
            assert_eq!(short(value), text);
        }
        for (us, text) in [(0.5, "500 ns"), (90.0, "90 us"), (1500.0, "1.5 ms"), (2e6, "2 s")] {
            assert_eq!(time(us), text);
        }
    }
}
