//! Sizes and times as they are told.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_fits() {
        assert_eq!((in_words(410 << 20).as_str(), in_words(3277 << 20).as_str()), ("410 MiB", "3.2 GiB"));
        assert_eq!([40.2, 725.0, 3900.0].map(duration), ["40 s", "12 min", "1 h 05 min"]);
    }
}
