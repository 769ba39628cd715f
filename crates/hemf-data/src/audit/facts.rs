//! What an audit keeps of an image.

use std::path::Path;

use super::likeness::Likeness;
use crate::decode::{Format, examine, read};
use crate::{Error, Reading, Split};

/// An image to look at, and what is said about it.
pub(super) struct Item {
    pub(super) path: String,
    pub(super) class: Option<String>,
    pub(super) split: Option<Split>,
    pub(super) group: Option<String>,
    /// Size and hash that the manifest gives.
    pub(super) listed: Option<(u64, String)>,
}

/// An image, looked at.
pub(super) struct Facts {
    pub(super) item: Item,
    /// Size and hash of the file, unless it could not be read at all.
    pub(super) file: Option<(u64, blake3::Hash)>,
    /// `Err`: why it is no picture.
    pub(super) seen: Result<Seen, String>,
}

/// A picture that decodes.
pub(super) struct Seen {
    pub(super) format: Format,
    pub(super) mode: String,
    pub(super) transparent: bool,
    pub(super) turned: bool,
    pub(super) cut_off: bool,
    pub(super) width: usize,
    pub(super) height: usize,
    /// Hash of size and RGB values: the same for the same picture in any lossless format.
    pub(super) pixels: blake3::Hash,
    pub(super) likeness: Likeness,
}

impl Facts {
    pub(super) fn of(root: &Path, item: Item, reading: &Reading) -> Self {
        let path = root.join(&item.path);
        let content = match read(&path) {
            Ok(content) => content,
            Err(error) => return Self { item, file: None, seen: Err(reason(error)) },
        };
        let file = Some((content.len() as u64, blake3::hash(&content)));
        let seen = examine(&path, &content, reading).map_err(reason).map(|(raster, about)| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&(raster.width() as u64).to_le_bytes());
            hasher.update(raster.pixels());
            Seen {
                format: about.format,
                mode: about.mode,
                transparent: about.transparent,
                turned: about.turned && !reading.exif_orientation,
                cut_off: about.cut_off,
                width: raster.width(),
                height: raster.height(),
                pixels: hasher.finalize(),
                likeness: Likeness::of(raster),
            }
        });
        Self { item, file, seen }
    }

    /// The split, or nothing.
    pub(super) fn split_name(&self) -> &'static str {
        self.item.split.map_or("", Split::name)
    }

    pub(super) fn class_name(&self) -> &str {
        self.item.class.as_deref().unwrap_or_default()
    }
}

/// An error without the path, which stands beside it.
fn reason(error: Error) -> String {
    match error {
        Error::Image { reason, .. } => reason,
        Error::Read { source, .. } => format!("cannot be read ({source})"),
        other => other.to_string(),
    }
}
