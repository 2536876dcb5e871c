//! How far an import is, for a person who waits. Draws on standard error, and only on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar where the total is known, otherwise a count.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// `total` bytes to come, if that is known. Nothing is drawn where standard error is no terminal.
    pub(crate) fn new(total: Option<u64>) -> Progress {
        let (bar, template) = match total {
            Some(total) => {
                let bar = ProgressBar::new(total);
                (bar, "{wide_bar} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left")
            }
            None => (ProgressBar::no_length(), "{spinner} {binary_bytes}  {binary_bytes_per_sec}  {elapsed}"),
        };
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        bar.set_style(style);
        Progress { bar }
    }

    /// So many more bytes are durable.
    pub(crate) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Takes the bar off the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
