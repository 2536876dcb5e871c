//! Bytes that metadata takes on the device.

use crate::sync::Counter;

/// Bytes written since the store was opened. Raised by whoever runs the requests, read by any thread.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// To the manifest, and headers and footers of segments.
    pub(crate) metadata: Counter,
    /// Zeros, into new journal files.
    pub(crate) journal_files: Counter,
}
