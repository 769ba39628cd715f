//! Text files that people make: tables, lists, manifests.

use std::path::Path;

use crate::Error;

/// Spreadsheets like to begin with it.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The text of a file in UTF-8, without a byte order mark.
///
/// # Errors
/// The file cannot be read, or is in another encoding.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(Error::read(path))?;
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let (whole, at) = (error.as_bytes(), error.utf8_error().valid_up_to());
        let (line, what) = match whole {
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => (None, "is UTF-16"),
            _ => (Some(line_at(&whole[..at])), "is not UTF-8"),
        };
        let reason = format!("the text {what}: save the file as UTF-8 (in a spreadsheet: CSV UTF-8)");
        Error::Manifest { path: path.into(), line, reason }
    })?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(text)
}

/// The number, from 1, of the line that begins or goes on after `before`. A line ends in LF, CR, or both.
fn line_at(before: &[u8]) -> u64 {
    let ends = |(i, byte): (usize, &u8)| *byte == b'\n' || (*byte == b'\r' && before.get(i + 1) != Some(&b'\n'));
    before.iter().enumerate().filter(|at| ends((at.0, at.1))).count() as u64 + 1
}

/// Numbers the lines of a table, as an editor does: the header's, too, and those without anything on them.
///
/// The CSV reader's own count begins a row where the one before ended, before the LF of CR LF and before empty lines.
pub(crate) struct Lines<'a> {
    text: &'a [u8],
    /// What was asked for last, and its line: rows come in order.
    last: (usize, u64),
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), last: (0, 1) }
    }

    /// The line of a row that the reader says begins at `position`.
    pub(crate) fn of(&mut self, position: &csv::Position) -> u64 {
        let begin = usize::try_from(position.byte()).unwrap_or(usize::MAX).min(self.text.len());
        let gap = self.text[begin..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let at = begin + gap;
        let (from, line) = if self.last.0 <= at { self.last } else { (0, 1) };
        self.last = (at, line + line_at(&self.text[from..at]) - 1);
        self.last.1
    }

    /// What a CSV reader says is wrong, and in which line.
    pub(crate) fn problem(&mut self, error: &csv::Error) -> (Option<u64>, String) {
        let line = error.position().map(|position| self.of(position));
        let reason = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("{} here, but {expected_len} in the header", crate::counted(*len as usize, "field"))
            }
            _ => error.to_string(),
        };
        (line, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_an_editor() {
        let lf = "a,b\n\n1,2\n\"3\n3\",4\n\n\n5,6";
        for end in ["\n", "\r\n", "\r"] {
            let text = lf.replace('\n', end);
            let (mut lines, mut found) = (Lines::new(&text), Vec::new());
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            for record in reader.records() {
                found.push(lines.of(record.unwrap().position().unwrap()));
            }
            assert_eq!(found, [3, 4, 8], "{end:?}");
            assert_eq!(lines.of(&csv::Position::new()), 1, "asked again from the front");
        }
    }

    #[test]
    fn other_encodings_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.csv");
        let read_of = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read_of("\u{feff}päth".as_bytes()).unwrap(), "päth");
        let error = read_of(b"path,class\r\nx,\xE4\r\n").unwrap_err();
        assert!(error.contains("table.csv, line 2: the text is not UTF-8: save the file as UTF-8"), "{error}");
        let error = read_of(b"\xFF\xFEp\0a\0").unwrap_err();
        assert!(error.contains("table.csv: the text is UTF-16: save the file as UTF-8"), "{error}");
    }
}
