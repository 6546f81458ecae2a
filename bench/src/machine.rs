//! What the figures were measured on.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use openmpsd::ambient::Clock;

use crate::comparison::median;
use crate::report::Setting;

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

/// What is measured on, but for what only the caller knows.
///
/// # Errors
/// When the kernel does not say.
pub fn setting(postgresql: &str) -> anyhow::Result<Setting> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
    let (cpu, memory) = (read("/proc/cpuinfo")?, read("/proc/meminfo")?);
    let (kernel, release) = (read("/proc/sys/kernel/ostype")?, read("/proc/sys/kernel/osrelease")?);
    let memory = line_of(&memory, "MemTotal").and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
    Ok(Setting {
        date: Clock::system().real().format("%Y-%m-%d %H:%M UTC").to_string(),
        // Not every architecture has names for its models.
        cpu_model: line_of(&cpu, "model name").unwrap_or(std::env::consts::ARCH).to_owned(),
        cores: std::thread::available_parallelism()?.get(),
        memory_bytes: memory.context("the kernel does not say how much memory there is")? * 1024,
        kernel: format!("{} {}", kernel.trim(), release.trim()),
        postgresql: postgresql.split(' ').next().unwrap_or_default().to_owned(),
        data_set: Vec::new(),
        rounds: 0,
        round_seconds: f64::NAN,
        fdatasync_ms: f64::NAN,
    })
}

/// The value of a line `name : value` in what one of the kernel's files says.
fn line_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().filter_map(|line| line.split_once(':')).find(|(word, _)| word.trim() == name).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel_are_found_by_their_name() {
        let text = "processor\t: 0\nmodel\t\t: 7\nmodel name\t: Example CPU @ 2: fast\nMemTotal:       24000000 kB\n";
        assert_eq!(line_of(text, "model name"), Some("Example CPU @ 2: fast"));
        assert_eq!(line_of(text, "MemTotal"), Some("24000000 kB"));
        assert_eq!(line_of(text, "MemFree"), None);
    }

    #[test]
    fn a_setting_says_what_this_machine_is() {
        let setting = setting("15.8 (Debian 15.8-0+deb12u1)").unwrap();
        assert_eq!(setting.postgresql, "15.8");
        assert!(setting.cores > 0 && setting.memory_bytes > 1 << 20 && setting.kernel.starts_with("Linux "), "{setting:?}");
    }
}
