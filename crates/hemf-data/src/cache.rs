//! Where results that only save time are kept.

use std::io;
use std::path::{Path, PathBuf};

/// `$HEMF_CACHE` (empty: nowhere), else `hemf` in `$XDG_CACHE_HOME` or in `~/.cache`.
pub(crate) fn folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    match std::env::var_os("HEMF_CACHE") {
        Some(folder) => Some(PathBuf::from(folder)).filter(|folder| !folder.as_os_str().is_empty()),
        None => absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .map(|cache| cache.join("hemf")),
    }
}

/// Writes a file so that readers see all of it or what was there before.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Two processes, or two threads of one, may write the same file at once.
    let name = format!("{}-{:?}.partial", std::process::id(), std::thread::current().id());
    let temporary = folder.join(name);
    let written = std::fs::write(&temporary, content).and_then(|()| std::fs::rename(&temporary, path));
    written.inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}
