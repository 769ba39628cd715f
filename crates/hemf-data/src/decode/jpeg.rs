//! What the decoder does not tell about a JPEG file.

/// A look at the markers.
pub(super) struct Scan {
    /// Whether the data reaches its end-of-image marker. The decoder fills what a cut-off file lacks with
    /// grey and says nothing; Pillow, and we, refuse such a file.
    pub(super) complete: bool,
    /// Colour components, where a frame header tells.
    pub(super) components: Option<u8>,
}

pub(super) fn scan(bytes: &[u8]) -> Scan {
    const END_OF_IMAGE: u8 = 0xD9;
    let mut scan = Scan { complete: false, components: None };
    let mut at = 2;
    while at + 1 < bytes.len() {
        if bytes[at] != 0xFF {
            at += 1; // entropy-coded data, or padding
            continue;
        }
        match bytes[at + 1] {
            END_OF_IMAGE => {
                scan.complete = true;
                return scan;
            }
            0xFF => at += 1,                      // fill byte
            0x00 | 0x01 | 0xD0..=0xD8 => at += 2, // stuffed byte and markers without a length
            marker => {
                let Some(length) = bytes.get(at + 2..at + 4) else { return scan };
                // Frame headers are C0 to CF but for tables (C4, CC) and an extension (C8): length,
                // precision, height, width, components.
                if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
                    scan.components = scan.components.or(bytes.get(at + 9).copied());
                }
                at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
    scan
}

/// Pillow's name for so many components.
pub(super) fn mode(components: u8) -> &'static str {
    match components {
        1 => "L",
        4 => "CMYK",
        _ => "RGB",
    }
}
