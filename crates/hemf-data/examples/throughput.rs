//! How long one core takes for an image: decoding alone, the training pipeline, the evaluation pipeline.
//!
//! ```sh
//! cargo run --release -p hemf-data --example throughput -- path/to/images 200
//! ```

use std::error::Error;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use hemf_data::{Augmentation, Draws, Preprocessing, Transform, decode};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: throughput FOLDER [IMAGES]")?;
    let most: usize = arguments.next().map_or(Ok(200), |n| n.parse())?;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    files.sort();
    files.truncate(most);
    let train = Transform::Train { preprocessing: Preprocessing::default(), augmentation: Augmentation::default() };
    let eval = Transform::Eval { preprocessing: Preprocessing::default() };
    let mut out = vec![0f32; 3 * 224 * 224];
    for (name, transform) in [("decode", None), ("decode + train", Some(&train)), ("decode + eval", Some(&eval))] {
        // The best of five passes: what the core can do when nothing else is going on.
        let mut best = f64::INFINITY;
        for pass in 0..5 {
            let began = Instant::now();
            for (i, file) in files.iter().enumerate() {
                let picture = decode(file)?;
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
        println!("{name:15} {:.3} ms an image", 1e3 * best / files.len() as f64);
    }
    Ok(())
}
