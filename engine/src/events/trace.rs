//! Events for `tracing`: the same, under the target `thalweg`. Whether anybody collects them is the program's business.

use tracing::{error, info, warn};

use super::event::EventKind;

pub(super) fn trace(kind: &EventKind) {
    const TARGET: &str = "thalweg";
    let name = kind.name();
    match kind {
        EventKind::Recovered { clean, duration, tails, damaged, unavailable, damaged_journals, damaged_copies } => {
            info!(
                target: TARGET, event = name, clean, seconds = duration.as_secs_f64(), tails, damaged, unavailable,
                damaged_journals, damaged_copies, "{kind}"
            )
        }
        EventKind::Opened { path, runtime, read_only } => {
            info!(target: TARGET, event = name, path = %path.display(), runtime, read_only, "{kind}");
        }
        EventKind::Fallback { what, reason } => {
            warn!(target: TARGET, event = name, what = what.as_str(), reason, "{kind}");
        }
        EventKind::Damage(range) => error!(
            target: TARGET, event = name, topic = range.topic, partition = range.partition, start = range.start,
            end = range.end, "{kind}"
        ),
        EventKind::DamagedCopy { file, start, end } => {
            warn!(target: TARGET, event = name, file, start, end, "{kind}");
        }
        EventKind::IoError { operation, file, error } => {
            error!(target: TARGET, event = name, operation, file, os_code = error.os_code(), "{kind}");
        }
        EventKind::PartitionFailed { topic, partition, .. } => {
            error!(target: TARGET, event = name, topic, partition, "{kind}");
        }
        EventKind::NoSpace { topic, partition, .. } => {
            error!(target: TARGET, event = name, topic, partition, "{kind}");
        }
        EventKind::SpaceAvailable { topic, partition } => {
            info!(target: TARGET, event = name, topic, partition, "{kind}");
        }
        EventKind::Truncated { topic, partition, log_start, next_offset } => {
            info!(target: TARGET, event = name, topic, partition, log_start, next_offset, "{kind}");
        }
        EventKind::Closed { clean: true } => info!(target: TARGET, event = name, clean = true, "{kind}"),
        EventKind::Closed { clean: false } => warn!(target: TARGET, event = name, clean = false, "{kind}"),
    }
}
