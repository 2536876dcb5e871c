//! Ratios, from what criterion wrote down.

use std::path::{Path, PathBuf};

/// Where the benches put their stores and files: under cargo's target directory, on the disk that is measured.
pub fn scratch() -> tempfile::TempDir {
    let target = target_dir();
    std::fs::create_dir_all(&target).expect("cargo's target directory can be made");
    tempfile::Builder::new().prefix("bench-").tempdir_in(target).expect("the target directory is writable")
}

fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
}

/// Prints the group's functions as ratios to `baseline`: of throughput if `higher_is_better`, else of time.
pub fn report(group: &str, baseline: &str, unit: f64, unit_name: &str) {
    let root = target_dir().join("criterion").join(group);
    let Some(base) = median_ns(&root.join(baseline)) else {
        println!("{group}: no figure for the baseline {baseline}");
        return;
    };
    println!("\n{group}: median of each, beside {baseline}");
    println!("  {:<44} {:>14} {:>10}", "what", unit_name, "x time");
    let mut names: Vec<PathBuf> = std::fs::read_dir(&root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.join("new").is_dir())
        .collect();
    names.sort();
    for path in names {
        if let (Some(median), Some(name)) = (median_ns(&path), path.file_name().and_then(|n| n.to_str())) {
            println!("  {:<44} {:>14.2} {:>10.3}", name, median / unit, median / base);
        }
    }
}

fn median_ns(path: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(path.join("new/estimates.json")).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    value["median"]["point_estimate"].as_f64()
}
