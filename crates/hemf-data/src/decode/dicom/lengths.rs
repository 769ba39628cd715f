//! Lengths that elements give of themselves: the parser takes memory for a value before it looks for it, up to 4 GiB.

const UNDEFINED: u32 = u32::MAX;

/// Value representations whose length has two bytes; all others have four, after two that are reserved.
const SHORT: [&[u8; 2]; 21] = [
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
    b"ST", b"TM", b"UI", b"UL", b"US",
];

/// How a data set writes its elements.
#[derive(Clone, Copy)]
struct Syntax {
    /// Elements name their representation.
    explicit: bool,
    big_endian: bool,
}

/// A look at the element that begins at `at`.
struct Element {
    tag: (u16, u16),
    length: u32,
    /// Where its value begins.
    value: usize,
    /// Whether the value is made of elements.
    is_nested: bool,
}

/// Whether every element ends within the file, as far as one that is not damaged tells where they are.
pub(super) fn fit(bytes: &[u8]) -> bool {
    let meta = Syntax { explicit: true, big_endian: false };
    let (mut at, mut data) = (132, meta);
    while let Some(element) = meta.element(bytes, at).filter(|element| element.tag.0 == 2) {
        let Some(value) = element.content(bytes) else { return false };
        if element.tag == (2, 0x10) {
            if value.starts_with(b"1.2.840.10008.1.2.1.99") {
                return true; // deflated, which the parser refuses unread
            }
            data = Syntax::named(value);
        }
        at = element.value + value.len();
    }
    data.fit(bytes, at)
}

impl Syntax {
    fn named(uid: &[u8]) -> Self {
        let padding = uid.iter().rev().take_while(|byte| !byte.is_ascii_digit()).count();
        let uid = &uid[..uid.len() - padding];
        Self { explicit: uid != b"1.2.840.10008.1.2", big_endian: uid == b"1.2.840.10008.1.2.2" }
    }

    fn fit(self, bytes: &[u8], mut at: usize) -> bool {
        let mut in_pixels = false; // whose items are compressed frames, not elements
        while let Some(element) = self.element(bytes, at) {
            let Element { tag, length, value, is_nested } = element;
            let content = if length == UNDEFINED { 0 } else { length as usize };
            if content > bytes.len() - value {
                return false;
            }
            let enters = length == UNDEFINED || (is_nested && !in_pixels);
            at = if enters { value } else { value + content };
            match tag {
                (0x7FE0, 0x0010) => in_pixels = length == UNDEFINED,
                (0xFFFE, 0xE0DD) => in_pixels = false,
                _ => {}
            }
        }
        true
    }

    fn element(self, bytes: &[u8], at: usize) -> Option<Element> {
        let short = |at: usize| {
            let two = [*bytes.get(at)?, *bytes.get(at + 1)?];
            Some(if self.big_endian { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
        };
        let long = |at: usize| {
            let four = bytes.get(at..at + 4)?.try_into().ok()?;
            Some(if self.big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
        };
        let tag = (short(at)?, short(at + 2)?);
        if tag.0 == 0xFFFE || !self.explicit {
            let (length, value) = (long(at + 4)?, at + 8);
            // Without a representation a sequence is told by its first item.
            let is_nested = tag.0 == 0xFFFE || (short(value), short(value + 2)) == (Some(0xFFFE), Some(0xE000));
            return Some(Element { tag, length, value, is_nested });
        }
        let kind = [*bytes.get(at + 4)?, *bytes.get(at + 5)?];
        Some(if SHORT.contains(&&kind) {
            Element { tag, length: u32::from(short(at + 6)?), value: at + 8, is_nested: false }
        } else {
            Element { tag, length: long(at + 8)?, value: at + 12, is_nested: &kind == b"SQ" }
        })
    }
}

impl Element {
    fn content<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        bytes.get(self.value..self.value.checked_add(self.length as usize)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_longer_than_the_file_is_found_at_any_depth() {
        let file = |syntax: &[u8; 20], data: &[u8]| {
            let mut bytes = [vec![0; 128], b"DICM".to_vec()].concat();
            bytes.extend([2, 0, 0x10, 0, b'U', b'I', 20, 0]);
            bytes.extend(syntax);
            bytes.extend(data);
            bytes
        };
        let explicit = |kind: &[u8; 2], length: u32| [&[9, 0, 1, 0][..], kind, &[0, 0], &length.to_le_bytes()].concat();
        let implicit = |length: u32| [&[9, 0, 1, 0][..], &length.to_le_bytes()].concat();
        let item = |length: u32| [&[0xFE, 0xFF, 0, 0xE0][..], &length.to_le_bytes()].concat();
        let little = b"1.2.840.10008.1.2.1\0";
        let plain = b"1.2.840.10008.1.2\0\0\0";
        for (data, sound) in [
            (explicit(b"UN", 0), true),
            (explicit(b"UN", 1), false),
            (explicit(b"??", 4_000_000_000), false),
            ([explicit(b"SQ", 20), item(12), explicit(b"UN", 0)].concat(), true),
            ([explicit(b"SQ", 20), item(12), explicit(b"UN", 9)].concat(), false),
            ([explicit(b"SQ", UNDEFINED), item(UNDEFINED), explicit(b"OB", 9)].concat(), false),
        ] {
            assert_eq!(fit(&file(little, &data)), sound, "{data:?}");
        }
        for (data, sound) in [
            (implicit(0), true),
            (implicit(7), false),
            ([implicit(16), item(8), implicit(0)].concat(), true),
            ([implicit(16), item(8), implicit(77)].concat(), false),
        ] {
            assert_eq!(fit(&file(plain, &data)), sound, "{data:?}");
        }
    }
}
