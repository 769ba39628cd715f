//! What the decoder does not tell about a JPEG file.

/// A look at the markers.
pub(super) struct Scan {
    /// Whether the data reaches its end-of-image marker. The decoder fills what a cut-off file lacks with
    /// grey and says nothing; Pillow, and we, refuse such a file.
    pub(super) complete: bool,
    /// The first frame header.
    pub(super) frame: Option<Frame>,
    /// How often the decoder would go over the picture.
    #[cfg_attr(not(feature = "dicom"), allow(dead_code, reason = "the decoder of plain files counts them itself"))]
    pub(super) passes: usize,
}

/// What a frame header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "dicom"), allow(dead_code, reason = "only DICOM says it a second time"))]
pub(super) struct Frame {
    /// Bits of each value.
    pub(super) bits: u8,
    pub(super) height: u16,
    pub(super) width: u16,
    /// 1: grey, 3: colour, 4: CMYK.
    pub(super) components: u8,
}

/// Pixels that a byte of data can stand for: a bit, at the least, for a block of 64.
const PIXELS_A_BYTE: u64 = 512;

impl Frame {
    /// Whether so many bytes cannot be all of the picture.
    pub(super) fn is_too_large_for(self, bytes: usize) -> bool {
        u64::from(self.width) * u64::from(self.height) > PIXELS_A_BYTE * bytes as u64
    }

    /// Of what follows the marker: length, precision, height, width, components.
    fn read(header: &[u8]) -> Option<Self> {
        let short = |at: usize| Some(u16::from_be_bytes([*header.get(at)?, *header.get(at + 1)?]));
        Some(Self { bits: *header.get(2)?, height: short(3)?, width: short(5)?, components: *header.get(7)? })
    }
}

pub(super) fn scan(bytes: &[u8]) -> Scan {
    const END_OF_IMAGE: u8 = 0xD9;
    const START_OF_SCAN: u8 = 0xDA;
    let mut scan = Scan { complete: false, frame: None, passes: 0 };
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
                scan.passes += usize::from(marker == START_OF_SCAN);
                // Frame headers are C0 to CF but for tables (C4, CC) and an extension (C8).
                if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
                    scan.frame = scan.frame.or_else(|| Frame::read(&bytes[at + 2..]));
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
