//! Files that are whole at every moment.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Writes a file so that readers, and a machine that stops, see all of it or what was there before.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    write_aside(path, content, File::sync_all)
}

/// Likewise, but what a machine that stops leaves may be cut off: much faster, for what can be made again.
pub(crate) fn replace_unsynced(path: &Path, content: &[u8]) -> io::Result<()> {
    write_aside(path, content, |_| Ok(()))
}

fn write_aside(path: &Path, content: &[u8], settle: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    // Several processes, or threads of one, may write the same file at once.
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!("{}-{turn}.partial", std::process::id()));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        settle(&file)?;
        fs::rename(&temporary, path)
    });
    written.inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}
