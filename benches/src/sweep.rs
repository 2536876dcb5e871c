//! The best that a bare loop does: every size, every depth, registered buffers or not.

use std::io;
use std::path::Path;
use std::time::Instant;

use crate::{BareFiles, Buffers, Prepared};

/// How a bare loop goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bytes of one transfer.
    pub block: usize,
    /// Transfers in flight.
    pub depth: usize,
    /// Whether the buffers are registered with the ring.
    pub registered: bool,
    /// ns for one byte.
    pub cost: f64,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let registered = if self.registered { ", registered" } else { "" };
        write!(f, "bare loop, {} KiB at depth {}{registered}", self.block >> 10, self.depth)
    }
}

impl Shape {
    /// One transfer at a time.
    pub fn single(block: usize) -> Shape {
        Shape { block, depth: 1, registered: false, cost: f64::INFINITY }
    }

    /// The buffers that it takes.
    ///
    /// # Errors
    /// As [`Buffers::new`].
    pub fn buffers(&self) -> io::Result<Buffers> {
        Buffers::new(self.block, self.depth, self.registered)
    }

    /// Transfers that `size` bytes take.
    pub fn count(&self, size: u64) -> usize {
        (size / self.block as u64) as usize
    }
}

/// What a sweep tries.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    blocks: &'static [usize],
    depths: &'static [usize],
}

impl Grid {
    /// Everything.
    pub const FULL: Grid = Grid { blocks: &[64, 128, 256, 512, 1024], depths: &[1, 2, 4, 8, 16, 32] };
    /// What is the best on most devices.
    pub const SHORT: Grid = Grid { blocks: &[256, 1024], depths: &[2, 8] };
}

/// What a sweep found.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The rate of each shape, to be printed.
    pub table: String,
    /// The fastest.
    pub best: Shape,
}

/// Runs every shape over what `run` times.
fn sweep(
    what: &str,
    size: u64,
    grid: Grid,
    mut run: impl FnMut(&Shape, &mut Buffers) -> io::Result<f64>,
) -> io::Result<Sweep> {
    let head = "MB/s of a bare loop over";
    let mut table = format!("\n{what}: {head} {} MiB, by depth; the right half with registered buffers\n", size >> 20);
    let depths: String = grid.depths.iter().map(|depth| format!("{depth:>7}")).collect();
    table += &format!("{:>10} {}", "", depths.repeat(2));
    let mut best: Option<Shape> = None;
    for block in grid.blocks.iter().map(|kib| kib << 10) {
        table += &format!("\n{:>6} KiB ", block >> 10);
        for (registered, depth) in [false, true].into_iter().flat_map(|r| grid.depths.iter().map(move |d| (r, *d))) {
            let shape = Shape { block, depth, registered, cost: f64::INFINITY };
            let mut buffers = match shape.buffers() {
                Ok(buffers) => buffers,
                Err(error) if !registered => return Err(error),
                // Where little memory may be locked, the registered half stays empty.
                Err(_) => {
                    table += "      -";
                    continue;
                }
            };
            let cost = run(&shape, &mut buffers)? / size as f64;
            table += &format!("{:>7.0}", 1e3 / cost);
            if best.is_none_or(|best| cost < best.cost) {
                best = Some(Shape { cost, ..shape });
            }
        }
    }
    Ok(Sweep { table, best: best.expect("depths without registered buffers always work") })
}

/// The shape that writes durably the fastest. Files that are only reserved are made anew for each run.
///
/// # Errors
/// Those of the file system or the ring.
pub fn best_write(dir: &Path, size: u64, prepared: Prepared, grid: Grid) -> io::Result<Sweep> {
    let written = (prepared == Prepared::Written).then(|| BareFiles::new(dir, 1, size, prepared)).transpose()?;
    sweep(&format!("durable writes, extents {prepared:?}"), size, grid, |shape, buffers| {
        let fresh = if written.is_none() { Some(BareFiles::new(dir, 1, size, prepared)?) } else { None };
        let file = written.as_ref().or(fresh.as_ref()).expect("one of them was made");
        let start = Instant::now();
        file.write(buffers, shape.count(size))?;
        Ok(start.elapsed().as_nanos() as f64)
    })
}

/// The shape that reads the fastest.
///
/// # Errors
/// Those of the file system or the ring.
pub fn best_read(file: &BareFiles, size: u64, grid: Grid) -> io::Result<Sweep> {
    sweep("direct reads", size, grid, |shape, buffers| {
        let start = Instant::now();
        file.read(buffers, shape.count(size))?;
        Ok(start.elapsed().as_nanos() as f64)
    })
}
