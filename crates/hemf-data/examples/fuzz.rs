//! Readers on damaged input: mutates sound files for so many seconds and counts what came of it. A panic or a
//! hang is a bug: the input is then kept in the working folder, by name.
//!
//! ```sh
//! cargo run --release -p hemf-data --features dicom --example fuzz -- image 120 path/to/seeds
//! ```
//!
//! Targets: `manifest`, `table`, `image`, `dicom`. The seed files are those in the folder named; `manifest` and
//! `table` make their own.

use std::error::Error;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use hemf_data::{Draws, Manifest, Prepare, Reading, audit::Audit, quickstart};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, seconds, rest @ ..] = &arguments[..] else {
        return Err("usage: fuzz manifest|table|image|dicom SECONDS [FOLDER OF SEEDS]".into());
    };
    let seconds = Duration::from_secs(seconds.parse()?);
    let place = tempfile::tempdir()?;
    let spec = quickstart::Spec { per_class: 4, size: 32, seed: 1 };
    let data = place.path().join("data");
    quickstart::generate(&data, &spec)?;
    let manifest = data.join("manifest.csv");
    let mut seeds = Vec::new();
    match target.as_str() {
        "manifest" => seeds.push(std::fs::read(&manifest)?),
        "table" => {
            let rows = Manifest::read(&manifest)?;
            let lines = rows.rows().iter().map(|row| format!("{},{},\"p {}\",F\n", row.path, row.class, row.bytes));
            seeds.push(format!("path,class,group,sex\n{}", lines.collect::<String>()).into_bytes());
            seeds.push(b"image,a,b\n1,0,1\n2,1.0,0\n".to_vec());
        }
        "image" | "dicom" => {
            for entry in std::fs::read_dir(rest.first().ok_or("name a folder of seeds")?)? {
                seeds.push(std::fs::read(entry?.path())?);
            }
        }
        other => return Err(format!("no target {other}: manifest, table, image or dicom").into()),
    }
    if seeds.is_empty() {
        return Err("the folder of seeds is empty".into());
    }
    let file = match target.as_str() {
        "manifest" => manifest,
        "table" => place.path().join("table.csv"),
        _ => place.path().join("images/input.png"),
    };
    std::fs::create_dir_all(place.path().join("images"))?;
    let (mut taken, mut refused, mut slowest) = (0u64, 0u64, Duration::ZERO);
    let began = Instant::now();
    while began.elapsed() < seconds {
        let mut draws = Draws::new("fuzz", taken + refused, &[]);
        let mut input = seeds[draws.below(seeds.len() as u64) as usize].clone();
        mutate(&mut input, &mut draws, &seeds);
        std::fs::write(&file, &input)?;
        let once = || {
            let began = Instant::now();
            (catch_unwind(|| read(target, &file, &data)), began.elapsed())
        };
        let (result, mut took) = once();
        if took > SLOW {
            took = took.min(once().1); // the machine may have been busy otherwise
        }
        match result {
            Ok(Ok(())) => taken += 1,
            Ok(Err(_)) => refused += 1,
            Err(_) => return Err(format!("a panic on {}", keep(target, &input)?).into()),
        }
        if took > TOO_LONG {
            return Err(format!("{took:.1?} for {}", keep(target, &input)?).into());
        }
        if took > SLOW && took > slowest {
            eprintln!("{took:.1?} for {}", keep(target, &input)?);
        }
        slowest = slowest.max(took);
    }
    println!("{target}: {} inputs, {taken} taken, {refused} refused, slowest {slowest:.1?}", taken + refused);
    Ok(())
}

/// Longer than any input of these sizes should take.
const TOO_LONG: Duration = Duration::from_secs(10);

/// Worth a look: each that took longer than all before it is kept.
const SLOW: Duration = Duration::from_secs(1);

/// Writes an input, and gives the file's name.
fn keep(target: &str, input: &[u8]) -> std::io::Result<String> {
    let name = format!("fuzz-{target}-{}.bin", &blake3::hash(input).to_hex()[..12]);
    std::fs::write(&name, input)?;
    Ok(name)
}

fn read(target: &str, file: &Path, data: &Path) -> Result<(), hemf_data::Error> {
    match target {
        "manifest" => {
            Audit::run(file, &Reading::default())?;
            Manifest::read_changed(file, &Reading::default()).map(|_| ())
        }
        "table" => {
            let labels = Prepare { labels: Some(file.to_path_buf()), ..Default::default() };
            labels.run(data)?;
            Prepare { metadata: Some(file.to_path_buf()), ..Default::default() }.run(data).map(|_| ())
        }
        _ => {
            let reading = Reading { exif_orientation: true, ..Default::default() };
            Audit::run(file.parent().unwrap_or(file), &reading)?.to_html();
            reading.decode(file).map(|_| ())
        }
    }
}

/// One to sixteen changes: bits, bytes, telling numbers, cut, doubled or foreign stretches.
fn mutate(input: &mut Vec<u8>, draws: &mut Draws, seeds: &[Vec<u8>]) {
    for _ in 0..=draws.below(16) {
        if input.is_empty() {
            return;
        }
        // Headers decide more than what follows.
        let reach = if draws.below(2) == 0 { input.len().min(600) } else { input.len() } as u64;
        let at = draws.below(reach) as usize;
        let length = 1 + draws.below(64) as usize;
        let end = (at + length).min(input.len());
        match draws.below(8) {
            0 => input[at] ^= 1 << draws.below(8),
            1 => input[at] = draws.below(256) as u8,
            2 => {
                let telling = [0, 0xFF, 0x7F, 0x80, 1, b',', b'"', b'\n', b'#'];
                let byte = telling[draws.below(telling.len() as u64) as usize];
                input[at..end.min(at + 4)].fill(byte);
            }
            3 => input.truncate(at),
            4 => drop(input.drain(at..end)),
            5 => {
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
            6 => {
                let other = &seeds[draws.below(seeds.len() as u64) as usize];
                let from = draws.below(other.len() as u64) as usize;
                let piece = other[from..other.len().min(from + length)].to_vec();
                input.splice(at..end, piece);
            }
            _ => {
                let other = draws.below(input.len() as u64) as usize;
                input.swap(at, other);
            }
        }
    }
}
