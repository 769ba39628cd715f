//! Sizes, times and paths as they are told.

use std::path::Path;

/// Bytes: `3.2 GiB`, `410 MiB`.
pub fn in_words(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib >= 1024.0 { format!("{:.1} GiB", mib / 1024.0) } else { format!("{mib:.0} MiB") }
}

/// Seconds: `1 h 05 min`, `12 min`, `40 s`.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A path as a shell reads it: in quotes, where it has spaces or anything else that a shell takes for its own.
pub fn quoted(path: impl AsRef<Path>) -> String {
    let text = path.as_ref().display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:=@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_fit_and_paths_are_quoted() {
        assert_eq!((in_words(410 << 20).as_str(), in_words(3277 << 20).as_str()), ("410 MiB", "3.2 GiB"));
        let quotes = ["runs/nano-2", "my scans/a", "it's", ""].map(quoted);
        assert_eq!(quotes, ["runs/nano-2", "'my scans/a'", r"'it'\''s'", "''"]);
        assert_eq!([40.2, 725.0, 3900.0].map(duration), ["40 s", "12 min", "1 h 05 min"]);
    }
}
