//! What the figures were measured on.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;

use crate::comparison::median;

/// How often the disk is asked.
const SYNCS: u32 = 50;

/// The median time of an `fdatasync` after 8 KB were overwritten, in milliseconds: what a commit cannot be faster than.
///
/// # Errors
/// When the folder cannot be written.
pub fn fdatasync_ms(folder: &Path) -> anyhow::Result<f64> {
    let path = folder.join("fdatasync");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let page = [7_u8; 8192];
    // As in a log that is used again: only the content changes, not the length.
    file.write_all_at(&page.repeat(16), 0)?;
    file.sync_all()?;
    let mut times = Vec::new();
    for n in 0..SYNCS {
        let begun = Instant::now();
        file.write_all_at(&page, u64::from(n % 16) * 8192)?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    fs::remove_file(&path)?;
    Ok(median(&times))
}

/// The value of a line `name : value` in one of the kernel's files.
#[must_use]
pub fn line_of(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.split([':', '\t']).next().is_some_and(|word| word.trim() == name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}
