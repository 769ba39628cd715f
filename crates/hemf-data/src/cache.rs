//! Where results that only save time are kept.

use std::path::PathBuf;

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
