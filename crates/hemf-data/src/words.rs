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

/// `count` and a sentence of several, made one of one where there is one: `files are changed` becomes `1 file is changed`.
///
/// Its first two words are a noun with an s, and a verb.
pub(crate) fn told(count: usize, sentence: &str) -> String {
    let mut words = sentence.splitn(3, ' ');
    let (noun, verb, rest) = (words.next(), words.next(), words.next().unwrap_or_default());
    let (Some(noun), Some(verb), 1) = (noun, verb, count) else { return format!("{count} {sentence}") };
    let verb = match verb {
        "are" => "is".to_owned(),
        "have" => "has".to_owned(),
        "cannot" => "cannot".to_owned(),
        verb => format!("{verb}s"),
    };
    format!("1 {} {verb} {rest}", noun.strip_suffix('s').unwrap_or(noun))
}

/// What is [`told`] of 16-bit grey without a window.
pub(crate) const CUT_OFF: &str = "pictures have grey values above 255, of 16 bits, which are cut off there as in the \
     published work: show them through a window (--window 32768,65536 for all values; in training \
     --set data.preprocessing.reading.window=[32768,65536]), or convert them to 8 bits";

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn one_is_told_of_as_one() {
        let told_of_one = [
            ("files are changed", "1 file is changed"),
            ("pictures have another mode", "1 picture has another mode"),
            ("images cannot be read", "1 image cannot be read"),
            ("paths differ by case", "1 path differs by case"),
        ];
        for (several, one) in told_of_one {
            assert_eq!(told(1, several), one);
            assert_eq!(told(2, several), format!("2 {several}"));
        }
    }
}
