//! Compressed frames beside what the file says of them, before a decoder sees them.

use std::borrow::Cow;

use crate::decode::jpeg;

/// What the file promises of each frame.
pub(super) struct Promised {
    pub(super) rows: u32,
    pub(super) columns: u32,
    pub(super) samples: u32,
    pub(super) bits: u32,
}

/// Passes over a picture that a progressive JPEG may ask for; files in use have about ten.
const PASSES: usize = 100;

impl Promised {
    /// # Errors
    /// Why the frame is not what was promised.
    pub(super) fn check(&self, syntax: &str, fragments: &[Vec<u8>], frames: u32, frame: u32) -> Result<(), String> {
        if fragments.is_empty() {
            return Err("DICOM without pixel data".into());
        }
        if !matches!(self.bits, 8 | 16) {
            return Err(format!("compressed DICOM with {} bits allocated: 8 and 16 are read", self.bits));
        }
        match syntax.trim_end_matches(['\0', ' ']) {
            // Encapsulated, but not compressed.
            "1.2.840.10008.1.2.1.98" => Ok(()),
            "1.2.840.10008.1.2.5" => match fragments.get(frame as usize) {
                Some(fragment) => self.check_rle(fragment),
                None => Err(format!("DICOM without data for frame {frame}")),
            },
            _ => self.check_jpeg(&data_of(fragments, frames, frame)?),
        }
    }

    /// A header of 64 bytes (count, offsets of up to 15 segments), then a segment for each byte of a pixel, in each a
    /// byte for every pixel.
    fn check_rle(&self, fragment: &[u8]) -> Result<(), String> {
        const HEADER: usize = 64;
        let damaged = |what: &str| Err(format!("damaged DICOM: {what} of the RLE data"));
        let Some((header, _)) = fragment.split_at_checked(HEADER) else { return damaged("the header") };
        let words: Vec<usize> =
            header.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]) as usize).collect();
        let count = (self.samples * self.bits / 8) as usize;
        if words[0] != count {
            return damaged("the number of segments");
        }
        let ends = words[2..].iter().take(count - 1).copied().chain([fragment.len()]);
        for (&begin, end) in words[1..].iter().zip(ends) {
            let Some(segment) = fragment.get(begin..end).filter(|_| begin >= HEADER) else {
                return damaged("a segment's place");
            };
            let pixels = u64::from(self.rows) * u64::from(self.columns);
            // A decoder unpacks all of a segment: it must not be much more than the picture has room for.
            if !(pixels..=pixels + 256).contains(&unpacked(segment)) {
                return damaged("the length of a segment");
            }
        }
        Ok(())
    }

    fn check_jpeg(&self, data: &[u8]) -> Result<(), String> {
        let damaged = |what: String| Err(format!("damaged or unsupported DICOM: {what}"));
        if !data.starts_with(&[0xFF, 0xD8]) {
            return damaged("the frame is no JPEG data".into());
        }
        let scan = jpeg::scan(data);
        let Some(found) = scan.frame else { return damaged("JPEG data without a frame header".into()) };
        let size = (u32::from(found.width), u32::from(found.height));
        if size != (self.columns, self.rows) {
            let (columns, rows) = (self.columns, self.rows);
            return damaged(format!("the JPEG data is {} x {}, not {columns} x {rows}", size.0, size.1));
        }
        if u32::from(found.components) != self.samples || (found.bits > 8) != (self.bits > 8) || found.bits > 16 {
            let (components, bits) = (found.components, found.bits);
            return damaged(format!(
                "JPEG data of {components} components of {bits} bits, which the file does not say"
            ));
        }
        if scan.passes > PASSES {
            return damaged(format!("JPEG data of {} passes; {PASSES} are read", scan.passes));
        }
        if found.is_too_large_for(data.len()) {
            return damaged("there is too little JPEG data for the picture".into());
        }
        Ok(())
    }
}

/// A frame's own fragment, or all of them for the only frame.
fn data_of(fragments: &[Vec<u8>], frames: u32, frame: u32) -> Result<Cow<'_, [u8]>, String> {
    if fragments.len() == 1 || fragments.len() == frames as usize {
        let own = fragments.get(frame as usize).ok_or_else(|| format!("DICOM without data for frame {frame}"))?;
        return Ok(Cow::Borrowed(own));
    }
    if frames == 1 {
        return Ok(Cow::Owned(fragments.concat()));
    }
    Err("DICOM with frames of several fragments each, which is not supported".into())
}

/// How many bytes a PackBits segment unpacks to; of a run that is cut off, those that are there.
fn unpacked(segment: &[u8]) -> u64 {
    let (mut rest, mut length) = (segment, 0);
    while let Some((&head, after)) = rest.split_first() {
        let bytes = match head {
            0..=127 => {
                let literal = after.len().min(usize::from(head) + 1);
                length += literal as u64;
                literal
            }
            128 => 0, // nothing
            _ if after.is_empty() => 0,
            _ => {
                length += 257 - u64::from(head);
                1
            }
        };
        rest = &after[bytes..];
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREY: Promised = Promised { rows: 2, columns: 3, samples: 1, bits: 8 };
    const RLE: &str = "1.2.840.10008.1.2.5";

    fn rle(count: u32, offset: u32, segment: &[u8]) -> Vec<u8> {
        let mut fragment = vec![0; 64];
        fragment[..4].copy_from_slice(&count.to_le_bytes());
        fragment[4..8].copy_from_slice(&offset.to_le_bytes());
        fragment.extend(segment);
        fragment
    }

    #[test]
    fn run_lengths_are_held_to_the_picture() {
        let check = |fragment: Vec<u8>| GREY.check(RLE, &[fragment], 1, 0);
        assert_eq!(check(rle(1, 64, &[251, 7])), Ok(()));
        assert_eq!(check(rle(1, 64, &[2, 1, 2, 3, 128, 254, 9])), Ok(()));
        for (fragment, what) in [
            (vec![1, 0, 0], "header"),
            (rle(2, 64, &[251, 7]), "number of segments"),
            (rle(u32::MAX, 64, &[251, 7]), "number of segments"),
            (rle(1, 65_000, &[251, 7]), "place"),
            (rle(1, 0, &[251, 7]), "place"),
            (rle(1, 64, &[252, 7]), "length"),
            (rle(1, 64, &[5, 1, 2, 3, 4, 5]), "length"),
            (rle(1, 64, &[4, 1, 2, 3, 4, 5, 255]), "length"),
            (rle(1, 64, &[129, 7, 129, 7, 129, 7]), "length"),
        ] {
            assert!(check(fragment).unwrap_err().contains(what), "{what}");
        }
        assert!(GREY.check(RLE, &[rle(1, 64, &[251, 7])], 2, 1).unwrap_err().contains("frame 1"));
    }

    #[test]
    fn jpeg_headers_are_held_to_the_picture() {
        let jpeg = |bits: u8, width: u8, components: u8, passes: usize| {
            let mut data = vec![0xFF, 0xD8, 0xFF, 0xC0, 0, 8, bits, 0, 2, 0, width, components];
            data.extend([0xFF, 0xDA, 0, 2].repeat(passes));
            data.extend([0xFF, 0xD9]);
            data
        };
        let check = |data: Vec<u8>| GREY.check("1.2.840.10008.1.2.4.50", &[data], 1, 0);
        assert_eq!(check(jpeg(8, 3, 1, 1)), Ok(()));
        for (data, what) in [
            (b"GIF89a".to_vec(), "no JPEG"),
            (vec![0xFF, 0xD8, 0xFF, 0xC0], "frame header"),
            (jpeg(8, 200, 1, 1), "200 x 2, not 3 x 2"),
            (jpeg(8, 3, 3, 1), "3 components"),
            (jpeg(12, 3, 1, 1), "12 bits"),
            (jpeg(8, 3, 1, 101), "101 passes"),
        ] {
            assert!(check(data).unwrap_err().contains(what), "{what}");
        }
        let large = Promised { rows: 60_000, columns: 1000, ..GREY };
        let mut data = jpeg(8, 0, 1, 1);
        data[7..11].copy_from_slice(&[0xEA, 0x60, 0x03, 0xE8]);
        assert!(large.check("1.2.840.10008.1.2.4.50", &[data], 1, 0).unwrap_err().contains("too little"));
    }
}
