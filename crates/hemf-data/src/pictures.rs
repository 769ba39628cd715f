//! Decoded pictures kept on disk, so that later epochs neither decode nor shrink.
//!
//! What is kept is what [`Reading`] makes of a file, before anything random: the same bits come back. An entry is named
//! by the hash of the file's content with the settings of reading, so a changed file or setting is another entry, and
//! carries a hash of its own, so a damaged one is made anew. The cache never fails: what the disk does not take or give
//! costs time.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use crate::{Error, Raster, Reading, cache, decode, replace::replace_unsynced};

/// Pictures as they were read, in a folder of bounded size.
///
/// Entries of this run are never put out by others of it: an epoch that does not fit keeps its first pictures, where
/// putting out the oldest would keep none. Entries of earlier runs make room, the longest unused first. Processes that
/// share a folder each count for themselves what they add.
#[derive(Debug)]
pub struct PictureCache {
    folder: PathBuf,
    limit: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: u64,
    /// Names used by this run.
    used: HashSet<String>,
    /// Entries of earlier runs that are not used yet, the longest unused last.
    old: Vec<(String, u64)>,
}

/// First bytes of an entry; another layout gets another number.
const MAGIC: &[u8; 16] = b"hemf picture 02\n";

/// Magic, width, height and channels as u32, blake3 of these three and the pixels.
const HEADER: usize = 16 + 12 + 32;

/// What a writer that was killed left behind is removed when it is this old.
const ABANDONED: Duration = Duration::from_secs(3600);

impl PictureCache {
    /// The cache in `folder`, or if none is named in the user's cache folder (`$HEMF_CACHE`, `~/.cache/hemf`), which is
    /// kept below `limit` bytes.
    ///
    /// # Errors
    /// A folder that cannot be made or read; none named, and no cache folder known.
    pub fn open(folder: Option<&Path>, limit: u64) -> Result<Self, Error> {
        let known = || cache::folder().map(|folder| folder.join("pictures"));
        let folder = folder.map(Path::to_path_buf).or_else(known).ok_or_else(|| Error::Setting {
            key: "cache",
            reason: "no folder for it is known: set HEMF_CACHE or HOME".into(),
        })?;
        fs::create_dir_all(&folder).map_err(Error::write(&folder))?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(Error::read(&folder))? {
            let entry = entry.map_err(Error::read(&folder))?;
            // What another process took away meanwhile is not there.
            let Ok(meta) = entry.metadata() else { continue };
            let Ok(name) = entry.file_name().into_string() else { continue };
            let time = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if name.ends_with(".picture") {
                found.push((time, name, meta.len()));
            } else if name.ends_with(".partial") && time.elapsed().is_ok_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(entry.path());
            }
        }
        found.sort_by(|a, b| b.cmp(a));
        let old: Vec<(String, u64)> = found.into_iter().map(|(_, name, bytes)| (name, bytes)).collect();
        let bytes = old.iter().map(|(_, bytes)| bytes).sum();
        let cache = Self { folder, limit, state: Mutex::new(State { bytes, old, ..State::default() }) };
        cache.make_room(0);
        Ok(cache)
    }

    /// Reads a file as [`Reading::decode`] does, from the cache where it is there.
    ///
    /// # Errors
    /// As there.
    pub fn read(&self, path: &Path, reading: &Reading) -> Result<Raster, Error> {
        let content = decode::read(path)?;
        let name = name(&content, reading);
        if let Some(picture) = self.get(&name) {
            return Ok(picture);
        }
        let picture = reading.decode_bytes(path, &content)?;
        self.put(&name, &picture);
        Ok(picture)
    }

    fn get(&self, name: &str) -> Option<Raster> {
        let path = self.folder.join(name);
        let picture = unpacked(&fs::read(&path).ok()?)?;
        if self.lock().used.insert(name.to_string()) {
            // So that other runs know it is in use.
            let _ = File::options().write(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        }
        Some(picture)
    }

    fn put(&self, name: &str, picture: &Raster) {
        let entry = packed(picture);
        let bytes = entry.len() as u64;
        if !self.make_room(bytes) {
            return;
        }
        // Not synced: an entry that is cut off by a power failure is told by its hash.
        let written = replace_unsynced(&self.folder.join(name), &entry);
        let mut state = self.lock();
        match written {
            // Threads may have made the same entry; it counts once.
            Ok(()) if state.used.insert(name.to_string()) => {}
            _ => state.bytes -= bytes,
        }
    }

    /// Counts `bytes` as used, if they fit once entries that this run does not use are gone.
    fn make_room(&self, bytes: u64) -> bool {
        let mut state = self.lock();
        while state.bytes + bytes > self.limit {
            let Some((name, freed)) = state.old.pop() else { return false };
            if !state.used.contains(&name) {
                let _ = fs::remove_file(self.folder.join(name));
                state.bytes = state.bytes.saturating_sub(freed);
            }
        }
        state.bytes += bytes;
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

fn name(content: &[u8], reading: &Reading) -> String {
    let settings = serde_json::to_vec(reading).expect("numbers become JSON");
    let mut hasher = blake3::Hasher::new();
    hasher.update(MAGIC).update(blake3::hash(content).as_bytes()).update(&settings);
    format!("{}.picture", hasher.finalize().to_hex())
}

fn packed(picture: &Raster) -> Vec<u8> {
    let sides =
        [picture.width(), picture.height(), picture.channels()].map(|side| (side as u32).to_le_bytes()).concat();
    let hash = blake3::Hasher::new().update(&sides).update(picture.pixels()).finalize();
    [&MAGIC[..], &sides, hash.as_bytes(), picture.pixels()].concat()
}

fn unpacked(entry: &[u8]) -> Option<Raster> {
    let (header, pixels) = entry.split_at_checked(HEADER)?;
    let (sides, hash) = header.strip_prefix(MAGIC)?.split_at(12);
    if blake3::Hasher::new().update(sides).update(pixels).finalize().as_bytes() != hash {
        return None;
    }
    let side = |at: usize| u32::from_le_bytes([sides[at], sides[at + 1], sides[at + 2], sides[at + 3]]) as usize;
    Some(Raster::new(side(0), side(4), side(8), pixels.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of 8 x 8 pixels, each an entry of 252 bytes.
    fn images(folder: &Path, count: u8) -> Vec<PathBuf> {
        let file = |i: u8| {
            let path = folder.join(format!("{i}.png"));
            image::RgbImage::from_fn(8, 8, |x, y| image::Rgb([i, x as u8, y as u8])).save(&path).unwrap();
            path
        };
        (0..count).map(file).collect()
    }

    fn entries(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn the_same_pictures_within_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let (images, folder) = (images(dir.path(), 6), dir.path().join("cache"));
        let reading = Reading::default();
        let cache = PictureCache::open(Some(&folder), 4 * 252 + 10).unwrap();
        for _ in 0..3 {
            for image in &images {
                assert_eq!(cache.read(image, &reading).unwrap(), reading.decode(image).unwrap());
            }
            assert_eq!(entries(&folder).len(), 4);
        }
        // Another setting and a changed file are other entries.
        let roomy = PictureCache::open(Some(&folder), 1 << 20).unwrap();
        let small = Reading { shrink: Some(4), ..Reading::default() };
        assert_eq!(roomy.read(&images[0], &small).unwrap(), small.decode(&images[0]).unwrap());
        assert_eq!(roomy.read(&images[0], &reading).unwrap().width(), 8);
        fs::copy(&images[5], &images[0]).unwrap();
        assert_eq!(roomy.read(&images[0], &reading).unwrap(), reading.decode(&images[5]).unwrap());
        assert_eq!(entries(&folder).len(), 6);
        // A smaller limit holds from the beginning.
        PictureCache::open(Some(&folder), 300).unwrap();
        assert_eq!(entries(&folder).len(), 1);
    }

    #[test]
    fn earlier_runs_make_room_and_damage_is_mended() {
        let dir = tempfile::tempdir().unwrap();
        let (images, folder) = (images(dir.path(), 5), dir.path().join("cache"));
        let reading = Reading::default();
        let limit = 3 * 252;
        let first = PictureCache::open(Some(&folder), limit).unwrap();
        images[..3].iter().for_each(|image| drop(first.read(image, &reading).unwrap()));
        let second = PictureCache::open(Some(&folder), limit).unwrap();
        for image in [&images[1], &images[3], &images[4]] {
            second.read(image, &reading).unwrap();
        }
        let kept = |image: &Path| folder.join(name(&fs::read(image).unwrap(), &reading)).exists();
        assert_eq!([0, 1, 2, 3, 4].map(|i: usize| kept(&images[i])), [false, true, false, true, true]);

        for damage in [&b"short"[..], &[0; 252]] {
            entries(&folder).iter().for_each(|entry| fs::write(entry, damage).unwrap());
            let third = PictureCache::open(Some(&folder), limit).unwrap();
            assert_eq!(third.read(&images[3], &reading).unwrap(), reading.decode(&images[3]).unwrap());
            let entry = fs::read(folder.join(name(&fs::read(&images[3]).unwrap(), &reading))).unwrap();
            assert!(unpacked(&entry).is_some());
        }
    }
}
