//! What a process takes, as Linux tells it; elsewhere nothing is known.

use std::{fs, io::ErrorKind, path::Path};

/// Bytes of memory that process `id` holds now.
pub fn memory_of(id: u32) -> Option<u64> {
    status(&format!("/proc/{id}/status"), "VmRSS:")
}

/// Whether process `id` holds `file` open. Where a process of another user does not tell, it is taken for one that does;
/// so is any number where there is no `/proc`.
pub(crate) fn has_open(id: u32, file: &Path) -> bool {
    if cfg!(not(target_os = "linux")) {
        return true;
    }
    match (fs::read_dir(format!("/proc/{id}/fd")), file.canonicalize()) {
        (Ok(mut open), Ok(file)) => {
            open.any(|entry| entry.is_ok_and(|entry| fs::read_link(entry.path()).is_ok_and(|path| path == file)))
        }
        (Err(error), _) => error.kind() == ErrorKind::PermissionDenied,
        _ => false,
    }
}

/// The most bytes of memory that this process has held.
pub fn peak_memory() -> Option<u64> {
    status("/proc/self/status", "VmHWM:")
}

/// Bytes of memory that could be had without swapping.
pub(crate) fn free_memory() -> Option<u64> {
    status("/proc/meminfo", "MemAvailable:")
}

/// The value, in kB, of a line such as `VmRSS:    123 kB`.
fn status(file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_holds_some_memory() {
        let (now, peak) = (memory_of(std::process::id()).unwrap(), peak_memory().unwrap());
        assert!(now > 1 << 16 && peak >= 1 << 16, "{now} {peak}");
        assert!(free_memory().is_some() && memory_of(u32::MAX).is_none());
    }
}
