//! What a process takes, as Linux tells it; elsewhere nothing is known.

/// Bytes of memory that process `id` holds now.
pub fn memory_of(id: u32) -> Option<u64> {
    status(&format!("/proc/{id}/status"), "VmRSS:")
}

/// The most bytes of memory that this process has held.
pub(crate) fn peak_memory() -> Option<u64> {
    status("/proc/self/status", "VmHWM:")
}

/// Bytes of memory that could be had without swapping.
pub(crate) fn free_memory() -> Option<u64> {
    status("/proc/meminfo", "MemAvailable:")
}

/// The value, in kB, of a line such as `VmRSS:    123 kB`.
fn status(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
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
