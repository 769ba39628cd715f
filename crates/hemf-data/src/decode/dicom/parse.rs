//! The parser, held to the file's size.
//!
//! It takes memory for a value before it looks for it, up to 4 GiB, and calls itself for each sequence in a sequence. So
//! its own tokens, of which an element's header comes before the value, are looked at first.

use dicom_object::{DefaultDicomObject, FileMetaTable, from_reader};
use dicom_parser::dataset::{DataSetReader, DataToken};
use dicom_transfer_syntax_registry::{TransferSyntaxIndex, TransferSyntaxRegistry};

/// Files in use have sequences in sequences about ten deep.
const DEEPEST: usize = 64;

/// Bytes before "DICM".
const PREAMBLE: usize = 128;

/// The file's elements in memory. The error is a reason without the file's name.
pub(super) fn object(bytes: &[u8]) -> Result<DefaultDicomObject, String> {
    let damaged = |error: &dyn std::fmt::Display| format!("damaged or unsupported DICOM: {error}");
    let too_long = || "damaged or cut off: an element of the DICOM file is longer than the file".to_string();
    let mut rest = bytes.get(PREAMBLE..).unwrap_or_default();
    if !meta_fits(rest) {
        return Err(too_long());
    }
    let meta = FileMetaTable::from_reader(&mut rest).map_err(|error| damaged(&error))?;
    // What the registry does not know, or cannot read, is refused unread below, by its name.
    let syntax = TransferSyntaxRegistry.get(meta.transfer_syntax()).filter(|syntax| !syntax.is_unsupported());
    if let Some(syntax) = syntax {
        let mut depth = 0;
        for token in DataSetReader::new_with_ts(rest, syntax).map_err(|error| damaged(&error))? {
            let length = match token.map_err(|error| damaged(&error))? {
                DataToken::ElementHeader(header) => header.len,
                DataToken::ItemStart { len } => len,
                DataToken::SequenceStart { .. } | DataToken::PixelSequenceStart => {
                    depth += 1;
                    if depth > DEEPEST {
                        return Err("damaged DICOM: sequences lie too deep in each other".into());
                    }
                    continue;
                }
                DataToken::SequenceEnd => {
                    depth = depth.saturating_sub(1);
                    continue;
                }
                _ => continue,
            };
            if length.get().is_some_and(|length| length as usize > bytes.len()) {
                return Err(too_long());
            }
        }
    }
    from_reader(bytes).map_err(|error| damaged(&error))
}

/// Whether no element of the meta group, which is read in one go, is longer than the file. `bytes` begins with "DICM".
fn meta_fits(bytes: &[u8]) -> bool {
    let short = |at: usize| Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let long = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    // The first element, of four bytes, tells how many bytes the others have.
    let Some(others) = long(12) else { return true };
    let mut at = 16;
    while at < 16 + others as usize {
        let (Some(group), Some(kind)) = (short(at), bytes.get(at + 4..at + 6)) else { return true };
        let (length, value) = match kind {
            _ if group == 0xFFFE => (long(at + 4), at + 8),
            _ if SHORT.iter().any(|short| *short == kind) => (short(at + 6), at + 8),
            _ => (long(at + 8), at + 12),
        };
        // The parser itself tells what is cut off.
        let Some(length) = length else { return true };
        if length as usize > bytes.len() {
            return false;
        }
        at = value + length as usize;
    }
    true
}

/// Value representations whose length has two bytes; all others have four, after two that are reserved.
const SHORT: [&[u8; 2]; 21] = [
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
    b"ST", b"TM", b"UI", b"UL", b"US",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: [u8; 4], kind: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let length = (value.len() as u16).to_le_bytes();
        [&tag[..], kind, &length, value].concat()
    }

    /// A file of `syntax`: with `more` in its meta group, then `data`.
    fn file(syntax: &[u8], more: &[u8], data: &[u8]) -> Vec<u8> {
        let uid = |number, value: &[u8]| element([2, 0, number, 0], b"UI", value);
        let others =
            [uid(2, b"1.2\0"), uid(3, b"1.3\0"), uid(0x10, syntax), uid(0x12, b"1.4\0"), more.to_vec()].concat();
        let first = element([2, 0, 0, 0], b"UL", &(others.len() as u32).to_le_bytes());
        [&[0; PREAMBLE][..], b"DICM", &first, &others, data].concat()
    }

    const EXPLICIT: &[u8] = b"1.2.840.10008.1.2.1\0";
    const IMPLICIT: &[u8] = b"1.2.840.10008.1.2\0";
    const UNDEFINED: u32 = u32::MAX;

    fn explicit(kind: &[u8; 2], length: u32) -> Vec<u8> {
        [&[9, 0, 1, 0][..], kind, &[0, 0], &length.to_le_bytes()].concat()
    }

    fn item(length: u32) -> Vec<u8> {
        [&[0xFE, 0xFF, 0, 0xE0][..], &length.to_le_bytes()].concat()
    }

    #[test]
    fn a_value_longer_than_the_file_is_found_anywhere() {
        const LONG: u32 = 4_000_000_000;
        let implicit = |length: u32| [&[9, 0, 1, 0][..], &length.to_le_bytes()].concat();
        for (syntax, data, sound) in [
            (EXPLICIT, explicit(b"UN", 0), true),
            (EXPLICIT, explicit(b"UN", LONG), false),
            (EXPLICIT, explicit(b"??", LONG), false),
            (EXPLICIT, [explicit(b"SQ", 20), item(12), explicit(b"UN", 0)].concat(), true),
            (EXPLICIT, [explicit(b"SQ", 20), item(12), explicit(b"UN", LONG)].concat(), false),
            (EXPLICIT, [explicit(b"SQ", UNDEFINED), item(UNDEFINED), explicit(b"OB", LONG)].concat(), false),
            // An item outside of sequences, which is passed over as a value of four bytes.
            (EXPLICIT, [item(4), vec![0; 4], explicit(b"UN", LONG)].concat(), false),
            (IMPLICIT, implicit(0), true),
            (IMPLICIT, implicit(LONG), false),
        ] {
            let result = object(&file(syntax, &[], &data));
            match sound {
                true => assert!(result.is_ok(), "{data:?}: {result:?}"),
                false => assert!(result.unwrap_err().contains("longer than the file"), "{data:?}"),
            }
        }
        let meta = [&[2, 0, 2, 1][..], b"OB", &[0, 0], &LONG.to_le_bytes()].concat();
        assert!(object(&file(EXPLICIT, &meta, &[])).unwrap_err().contains("longer than the file"));
    }

    #[test]
    fn depth_is_bounded_and_length_is_not() {
        let deeper = [explicit(b"SQ", UNDEFINED), item(UNDEFINED)].concat();
        assert!(object(&file(EXPLICIT, &[], &deeper.repeat(100_000))).unwrap_err().contains("too deep"));
        let end = |tag: u8| vec![0xFE, 0xFF, tag, 0xE0, 0, 0, 0, 0];
        let many: Vec<u8> = (0..1000u16)
            .flat_map(|i| {
                let mut one = [deeper.clone(), end(0x0D), end(0xDD)].concat();
                one[2..4].copy_from_slice(&i.to_le_bytes());
                one
            })
            .collect();
        assert!(object(&file(EXPLICIT, &[], &many)).is_ok());
    }
}
