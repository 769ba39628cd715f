//! What can be set about reading files.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{decode_bytes, read};
use crate::{Error, Raster, resize};

/// How files are read. The default is what the published pipeline does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reading {
    /// Turns and mirrors pictures as their EXIF orientation says. Pillow, and so the published
    /// pipeline, does not.
    pub exif_orientation: bool,
    /// Which frame of a multi-frame DICOM file, from 0.
    pub frame: u32,
    /// Centre and width of the grey levels shown. Of a DICOM file, in its units after rescaling; if not given, the file's own
    /// window, or else the range of its values. Of a PNG or TIFF file of 16-bit grey, [32768, 65536] for all; if not given,
    /// values above 255 are cut off there, as in the published pipeline.
    pub window: Option<[f64; 2]>,
    /// Larger pictures are brought to a shorter side of so many pixels as they are read. That changes what random crops
    /// of training are made of; the picture cache then holds much smaller entries.
    pub shrink: Option<u32>,
}

impl Reading {
    /// Reads and decodes an image file to three channels; see [`decode()`](crate::decode()).
    ///
    /// # Errors
    /// Names the file: not readable, empty, of another format, cut off, damaged or too large.
    pub fn decode(&self, path: &Path) -> Result<Raster, Error> {
        self.decode_bytes(path, &read(path)?)
    }

    /// Likewise of a file that was read from `path`.
    pub(crate) fn decode_bytes(&self, path: &Path, bytes: &[u8]) -> Result<Raster, Error> {
        let picture = decode_bytes(path, bytes, self)?;
        let (width, height) = (picture.width(), picture.height());
        let short = width.min(height);
        match self.shrink.map(|side| side as usize) {
            // The longer side is cut down to whole pixels, as torchvision does.
            Some(side) if side < short => Ok(resize(&picture, side * width / short, side * height / short)),
            _ => Ok(picture),
        }
    }

    /// # Errors
    /// A window without width, or nothing left of pictures.
    pub fn validate(&self) -> Result<(), Error> {
        match self.window {
            Some([centre, width]) if !(centre.is_finite() && width.is_finite() && width > 0.0) => {
                let reason = format!("[{centre}, {width}] is not a centre and a width above 0");
                Err(Error::Setting { key: "reading.window", reason })
            }
            _ if self.shrink == Some(0) => {
                Err(Error::Setting { key: "reading.shrink", reason: "0 is not a number of pixels".into() })
            }
            _ => Ok(()),
        }
    }
}
