//! How deep a file's sequences lie in each other: the parser calls itself for each, and a stack has an end.

/// Files in use have sequences in sequences about ten deep.
const DEEPEST: usize = 64;

const UNDEFINED: u32 = u32::MAX;

/// Whether items lie in items deeper than the parser can be trusted with. Looks at item tags alone, so that no parser
/// is needed; those that stand in pixel data by chance are too few to matter.
pub(super) fn is_too_deep(bytes: &[u8]) -> bool {
    // The retired big-endian files have the bytes of each half of a tag the other way.
    deeper(bytes, [0xFE, 0xFF, 0x00, 0xE0], [0xFE, 0xFF, 0x0D, 0xE0], u32::from_le_bytes)
        || deeper(bytes, [0xFF, 0xFE, 0xE0, 0x00], [0xFF, 0xFE, 0xE0, 0x0D], u32::from_be_bytes)
}

fn deeper(bytes: &[u8], item: [u8; 4], end_of_item: [u8; 4], number: fn([u8; 4]) -> u32) -> bool {
    // Where each open item ends, where it says so.
    let mut open: Vec<Option<usize>> = Vec::new();
    for (at, window) in bytes.windows(8).enumerate() {
        if window[0] != item[0] || window[1] != item[1] {
            continue;
        }
        if window[..4] == item {
            while open.last().is_some_and(|end| end.is_some_and(|end| end <= at)) {
                open.pop();
            }
            let length = number([window[4], window[5], window[6], window[7]]);
            open.push((length != UNDEFINED).then(|| at.saturating_add(8).saturating_add(length as usize)));
            if open.len() > DEEPEST {
                return true;
            }
        } else if window[..4] == end_of_item {
            open.pop();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_and_length_is_not() {
        let item = |length: u32| [&[0xFE, 0xFF, 0x00, 0xE0][..], &length.to_le_bytes()].concat();
        let end = [0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0];
        assert!(is_too_deep(&item(UNDEFINED).repeat(100)));
        assert!(is_too_deep(&item(1 << 20).repeat(100)));
        assert!(!is_too_deep(&item(0).repeat(1000)));
        assert!(!is_too_deep(&[&item(UNDEFINED)[..], &end].concat().repeat(1000)));
        let swapped: Vec<u8> = [0xFF, 0xFE, 0xE0, 0x00, 0xFF, 0xFF, 0xFF, 0xFF].repeat(100);
        assert!(is_too_deep(&swapped));
    }
}
