//! Numbers as they are told.

/// `1 image`, `2 images`.
///
/// ```
/// assert_eq!([0, 1, 2].map(|count| hemf_data::counted(count, "pair")), ["0 pairs", "1 pair", "2 pairs"]);
/// ```
pub fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
