//! How files are read, for the commands that look at images without a run's configuration.

use clap::Args;
use hemf_train::Reading as Settings;

#[derive(Debug, Args)]
pub(super) struct Reading {
    /// Turn pictures as their EXIF orientation says (as `data.preprocessing.reading.exif_orientation`)
    #[arg(long)]
    exif_orientation: bool,

    /// Which frame of DICOM files, from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    frame: u32,

    /// Centre and width of the grey levels shown of DICOM files [default: the file's own] and of 16-bit grey (32768,65536 for
    /// all) [default: cut off at 255]
    #[arg(long, value_name = "C,W", value_parser = window, allow_hyphen_values = true)]
    window: Option<[f64; 2]>,
}

impl Reading {
    pub(super) fn settings(&self) -> Settings {
        Settings { exif_orientation: self.exif_orientation, frame: self.frame, window: self.window, shrink: None }
    }
}

/// Two numbers with a comma between.
fn window(text: &str) -> Result<[f64; 2], String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(str::parse).collect();
    let numbers = numbers.map_err(|error| error.to_string())?;
    let expected = || "expected a centre and a width above 0, such as 40,400".to_owned();
    let window: [f64; 2] = numbers.try_into().map_err(|_| expected())?;
    if window.iter().all(|number| number.is_finite()) && window[1] > 0.0 { Ok(window) } else { Err(expected()) }
}
