//! How long one core takes for an image: decoding alone, then with the transforms of training and evaluation; and the
//! same from a picture cache, as later epochs do it.
//!
//! ```sh
//! cargo run --release -p hemf-data --example throughput -- path/to/images 200
//! ```
//!
//! `throughput.py` beside it measures the same with Pillow and torchvision.

use std::error::Error;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use hemf_data::{Augmentation, Draws, PictureCache, Preprocessing, Raster, Reading, Transform};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: throughput FOLDER [IMAGES]")?;
    let most: usize = arguments.next().map_or(Ok(200), |n| n.parse())?;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    files.retain(|path| path.is_file());
    files.sort();
    files.truncate(most);
    for shrink in [None, Some(256)] {
        let reading = Reading { shrink, ..Default::default() };
        let place = tempfile::tempdir()?;
        let cache = PictureCache::open(Some(place.path()), 8 << 30)?;
        let name = shrink.map_or("decode".into(), |side| format!("decode, shrink to {side}"));
        measure(&name, &files, &reading, |file| reading.decode(file))?;
        // The first of the passes fills it.
        measure(&format!("{name}, cached"), &files, &reading, |file| cache.read(file, &reading))?;
        let bytes: u64 =
            std::fs::read_dir(place.path())?.map(|entry| Ok(entry?.metadata()?.len())).sum::<std::io::Result<_>>()?;
        println!("  the cache holds {:.0} KiB an image", bytes as f64 / 1024.0 / files.len() as f64);
    }
    Ok(())
}

/// Prints the best of five passes: what the core can do when nothing else is going on.
fn measure(
    name: &str,
    files: &[PathBuf],
    reading: &Reading,
    read: impl Fn(&PathBuf) -> Result<Raster, hemf_data::Error>,
) -> Result<(), Box<dyn Error>> {
    let preprocessing = Preprocessing { reading: reading.clone(), ..Default::default() };
    let train = Transform::Train { preprocessing: preprocessing.clone(), augmentation: Augmentation::default() };
    let eval = Transform::Eval { preprocessing };
    let mut out = vec![0f32; 3 * 224 * 224];
    for (and, transform) in [("", None), (" + train", Some(&train)), (" + eval", Some(&eval))] {
        let mut best = f64::INFINITY;
        for pass in 0..5 {
            let began = Instant::now();
            for (i, file) in files.iter().enumerate() {
                let picture = read(file)?;
                if let Some(transform) = transform {
                    let mut draws = Draws::new("augment", pass, &[i as u64]);
                    let drawn = transform.draw(&mut draws, (picture.width(), picture.height()));
                    transform.apply(&picture, drawn, &mut out);
                    black_box(&out);
                } else {
                    black_box(picture);
                }
            }
            best = best.min(began.elapsed().as_secs_f64());
        }
        println!("{:34} {:.3} ms an image", format!("{name}{and}"), 1e3 * best / files.len() as f64);
    }
    Ok(())
}
