//! What registered buffers and registered files save: processor time for each durable write of a bare loop, over written
//! extents. `registered [ROUNDS]`, five by default.
//!
//! Processor time, unlike the time that passes, says something on a machine whose device is busy with other work too.

use std::io;

use thalweg_bench::{BareFiles, Buffers, Prepared};

const SIZE: u64 = 64 << 20;

/// Processor time that this thread has used. Microseconds.
fn used() -> f64 {
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a live value that the call fills.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) }, 0);
    let micros = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
    micros(usage.ru_utime) + micros(usage.ru_stime)
}

fn main() -> io::Result<()> {
    let rounds: usize = std::env::args().nth(1).map_or(5, |rounds| rounds.parse().expect("a number of rounds"));
    let dir = thalweg_bench::scratch();
    let files = BareFiles::new(dir.path(), 1, SIZE, Prepared::Written)?;
    println!("us of processor time for one durable write, the median of {rounds} rounds");
    println!("{:>10} {:>6} {:>8} {:>8} {:>8} {:>8}", "size", "depth", "neither", "buffers", "files", "both");
    for (size, depth, count) in [(4 << 10, 1, 1000), (4 << 10, 16, 4000), (256 << 10, 8, 200), (1 << 20, 8, 60)] {
        let mut columns = vec![Vec::new(); 4];
        for _ in 0..rounds {
            for (column, (with_buffers, with_files)) in
                columns.iter_mut().zip([(false, false), (true, false), (false, true), (true, true)])
            {
                let mut buffers = Buffers::new(size, depth, with_buffers)?;
                if with_files {
                    files.register(&mut buffers)?;
                }
                let before = used();
                files.write(&mut buffers, count)?;
                column.push((used() - before) / count as f64);
            }
        }
        print!("{size:>10} {depth:>6}");
        for column in &mut columns {
            column.sort_by(f64::total_cmp);
            print!(" {:>8.2}", column[rounds / 2]);
        }
        println!();
    }
    Ok(())
}
