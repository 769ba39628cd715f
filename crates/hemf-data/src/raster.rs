//! Pixels in memory.

/// An 8-bit picture: rows from the top, pixels from the left, channels side by side (H, W, C).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Raster {
    /// Takes `height * width * channels` bytes.
    ///
    /// # Panics
    /// When the number of bytes is another, a side is zero, or `channels` is not 1 or 3.
    pub fn new(width: usize, height: usize, channels: usize, pixels: Vec<u8>) -> Self {
        assert!(width > 0 && height > 0, "a picture has at least one pixel");
        assert!(channels == 1 || channels == 3, "a picture has 1 or 3 channels");
        assert_eq!(pixels.len(), width * height * channels, "bytes of a {width} x {height} picture");
        Self { width, height, channels, pixels }
    }

    /// Pixels per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// 3 (red, green, blue) or 1 (grey).
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// All bytes in (H, W, C) order.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Bytes of one row.
    pub fn row(&self, y: usize) -> &[u8] {
        let stride = self.width * self.channels;
        &self.pixels[y * stride..(y + 1) * stride]
    }

    /// One grey channel, by the ITU-R 601-2 weights in 16-bit fixed point: Pillow's `convert("L")`.
    pub fn into_luma(self) -> Self {
        if self.channels == 1 {
            return self;
        }
        let luma = |p: &[u8]| {
            let sum = u32::from(p[0]) * 19_595 + u32::from(p[1]) * 38_470 + u32::from(p[2]) * 7_471;
            ((sum + 0x8000) >> 16) as u8
        };
        let pixels = self.pixels.chunks_exact(3).map(luma).collect();
        Self { channels: 1, pixels, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_as_pillow() {
        // >>> [Image.new("RGB", (1, 1), c).convert("L").getpixel((0, 0)) for c in ...]
        let colours = [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 200, 30, 255, 255, 255, 77, 77, 77];
        let picture = Raster::new(6, 1, 3, colours.to_vec()).into_luma();
        assert_eq!(picture.pixels(), [76, 150, 29, 124, 255, 77]);
    }
}
