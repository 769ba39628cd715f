//! What can be set about reading files.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{decode_bytes, read};
use crate::{Error, Raster};

/// How files are read. The default is what the published pipeline does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reading {
    /// Turns and mirrors pictures as their EXIF orientation says. Pillow, and so the published
    /// pipeline, does not.
    pub exif_orientation: bool,
    /// Which frame of a multi-frame DICOM file, from 0.
    pub frame: u32,
    /// Centre and width of the grey levels shown of a DICOM file, in its units after rescaling. If not
    /// given, the file's own window, or else the range of its values.
    pub window: Option<[f64; 2]>,
}

impl Reading {
    /// Reads and decodes an image file to three channels; see [`decode()`](crate::decode()).
    ///
    /// # Errors
    /// Names the file: not readable, empty, of another format, cut off, damaged or too large.
    pub fn decode(&self, path: &Path) -> Result<Raster, Error> {
        decode_bytes(path, &read(path)?, self)
    }

    /// # Errors
    /// A window without width.
    pub fn validate(&self) -> Result<(), Error> {
        match self.window {
            Some([centre, width]) if !(centre.is_finite() && width.is_finite() && width > 0.0) => {
                let reason = format!("[{centre}, {width}] is not a centre and a width above 0");
                Err(Error::Setting { key: "reading.window", reason })
            }
            _ => Ok(()),
        }
    }
}
