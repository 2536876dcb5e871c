//! What the fuzzers in `tests/fuzz` call: any bytes, no panic, and what is accepted must hold together.
//!
//! Checksums would turn nearly every input away at the door. So the first byte of an input chooses: the rest as it
//! is, or with its checksums made to say yes, which reaches what stands behind them.
//!
//! A target is a function here, a file in `tests/fuzz/src/bin`, and a directory in `tests/fuzz/corpus`.

mod header;
mod manifest;
mod recovery;

pub use header::header;
pub use manifest::manifest;
pub use recovery::recovery;

/// Takes one byte off the front of an input.
fn choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    /// Every input of the committed corpora, and every crash that was ever found, stays survived.
    #[test]
    fn the_corpora_are_survived() {
        let targets =
            [("header", super::header as fn(&[u8])), ("manifest", super::manifest), ("recovery", super::recovery)];
        for (target, run) in targets {
            let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
            let mut inputs = 0;
            for entry in fs::read_dir(&path).expect("each target has a corpus") {
                let path = entry.expect("the corpus can be listed").path();
                run(&fs::read(&path).expect("the input can be read"));
                inputs += 1;
            }
            assert!(inputs > 0, "{} is empty", path.display());
        }
    }
}
