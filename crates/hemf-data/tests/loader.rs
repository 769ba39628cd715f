//! Batches depend on (seed, epoch) alone, come in order, and leave nothing behind.

use std::sync::Arc;

use hemf_data::{
    Augmentation, Batch, ColourJitter, Erasing, Error, Loader, Manifest, Mix, PictureCache, Preprocessing, RandAugment,
    Reading, Sample, Sampling, Sheet, Split, quickstart,
};
use tempfile::TempDir;

fn data() -> (TempDir, Manifest) {
    let dir = tempfile::tempdir().unwrap();
    let spec = quickstart::Spec { per_class: 10, size: 32, seed: 1 };
    let manifest = quickstart::generate(dir.path(), &spec).unwrap();
    (dir, manifest)
}

fn train(samples: Vec<Sample>, batch: usize, seed: u64, workers: usize) -> Loader {
    let preprocessing = Preprocessing::for_size(24);
    Loader::train(samples, preprocessing, Augmentation::default(), batch, seed, workers).unwrap()
}

/// A batch as plain numbers.
fn plain(batch: Result<Batch, Error>) -> (Vec<f32>, Vec<u32>, Vec<usize>) {
    let Batch { images, labels, rows, .. } = batch.unwrap();
    assert!(images.is_contiguous());
    assert_eq!(images.dims(), [rows.len(), 3, 24, 24]);
    (images.flatten_all().unwrap().to_vec1().unwrap(), labels.to_vec1().unwrap(), rows)
}

#[test]
fn batches_do_not_depend_on_workers() {
    let (_dir, manifest) = data();
    let samples = manifest.samples(Split::Train);
    assert_eq!(samples.len(), 28);
    let epoch = |workers: usize, seed, epoch| -> Vec<_> {
        train(samples.clone(), 6, seed, workers).batches(epoch).map(plain).collect()
    };
    let one = epoch(1, 7, 3);
    assert_eq!(one.iter().map(|batch| batch.2.len()).collect::<Vec<_>>(), [6, 6, 6, 6, 4]);
    for workers in [2, 3, 8, 0] {
        assert!(epoch(workers, 7, 3) == one, "{workers} workers");
    }
    assert!(epoch(2, 7, 4) != one && epoch(2, 8, 3) != one);

    // Every image comes once, with its label.
    let mut rows: Vec<usize> = one.iter().flat_map(|batch| batch.2.clone()).collect();
    assert!(!rows.is_sorted(), "shuffled");
    rows.sort_unstable();
    assert!(rows.iter().eq(samples.iter().map(|sample| &sample.row)));
    for (_, labels, rows) in &one {
        for (label, row) in labels.iter().zip(rows) {
            assert_eq!(manifest.classes()[*label as usize], manifest.rows()[*row].class);
        }
    }
}

#[test]
fn a_cache_changes_no_bit() {
    let (dir, manifest) = data();
    for shrink in [None, Some(28)] {
        let reading = Reading { shrink, ..Default::default() };
        let preprocessing = Preprocessing { reading, ..Preprocessing::for_size(24) };
        let loader = |cached: bool| {
            let cache = PictureCache::open(Some(&dir.path().join("cache")), 1 << 20).unwrap();
            let samples = manifest.samples(Split::Train);
            Loader::train(samples, preprocessing.clone(), Augmentation::default(), 6, 7, 3)
                .unwrap()
                .cache(cached.then(|| Arc::new(cache)))
        };
        let (without, with) = (loader(false), loader(true));
        for epoch in 0..3 {
            let all = |loader: &Loader| loader.batches(epoch).map(plain).collect::<Vec<_>>();
            assert!(all(&without) == all(&with), "epoch {epoch}");
        }
    }
    assert_eq!(std::fs::read_dir(dir.path().join("cache")).unwrap().count(), 2 * 28);
}

#[test]
fn a_sample_is_drawn_for_itself() {
    // The same image in the same epoch gets the same crop, whatever the batch size puts around it.
    let (_dir, manifest) = data();
    let samples = manifest.samples(Split::Train);
    let by_row = |batch| {
        let mut images = std::collections::BTreeMap::new();
        for (pixels, _, rows) in train(samples.clone(), batch, 7, 2).batches(1).map(plain) {
            for (row, image) in rows.iter().zip(pixels.chunks(3 * 24 * 24)) {
                images.insert(*row, image.to_vec());
            }
        }
        images
    };
    assert!(by_row(4) == by_row(9));
}

#[test]
fn an_epoch_can_be_entered_anywhere() {
    let (_dir, manifest) = data();
    let loader = train(manifest.samples(Split::Train), 5, 7, 3);
    let all: Vec<_> = loader.batches(2).map(plain).collect();
    assert_eq!(all.len(), loader.steps());
    for first in 0..=loader.steps() + 1 {
        let rest: Vec<_> = loader.batches_from(2, first).map(plain).collect();
        assert!(rest == all[first.min(all.len())..], "from {first}");
    }
}

#[test]
fn evaluation_keeps_the_order_and_every_image() {
    let (_dir, manifest) = data();
    let samples = manifest.samples(Split::Test);
    let loader = Loader::eval(samples.clone(), Preprocessing::for_size(24), 5, 2).unwrap();
    let rows: Vec<usize> = loader.batches(0).flat_map(|batch| plain(batch).2).collect();
    assert!(rows.iter().eq(samples.iter().map(|sample| &sample.row)));
    let full: Vec<_> = loader.clone().drop_last(true).batches(0).map(plain).collect();
    assert!(full.iter().all(|batch| batch.2.len() == 5) && full.len() == samples.len() / 5);
}

#[test]
fn leaving_early_stops_the_workers() {
    let (_dir, manifest) = data();
    let loader = train(manifest.samples(Split::Train), 1, 7, 8);
    for taken in 0..12 {
        // Dropping joins the threads: a worker stuck on its full queue would hang here.
        assert_eq!(loader.batches(0).take(taken).count(), taken);
    }
}

#[test]
fn a_missing_file_ends_the_epoch_with_its_name() {
    let (_dir, manifest) = data();
    let mut samples = manifest.samples(Split::Validation);
    let name = samples[2].path.clone();
    std::fs::remove_file(&name).unwrap();
    samples.truncate(4);
    let loader = Loader::eval(samples, Preprocessing::for_size(24), 1, 3).unwrap();
    let results: Vec<_> = loader.batches(0).collect();
    assert_eq!(results.len(), 3);
    assert!(results[..2].iter().all(Result::is_ok));
    let error = results[2].as_ref().unwrap_err().to_string();
    assert!(error.contains(&name.display().to_string()), "{error}");
}

#[test]
fn impossible_settings_are_refused() {
    let (_dir, manifest) = data();
    let samples = || manifest.samples(Split::Test);
    let eval = |samples, size, batch| Loader::eval(samples, Preprocessing::for_size(size), batch, 1);
    assert!(eval(Vec::new(), 24, 4).err().unwrap().to_string().contains("no images"));
    assert!(eval(samples(), 24, 0).err().unwrap().to_string().contains("batch"));
    assert!(eval(samples(), 0, 4).err().unwrap().to_string().contains("size"));
}

#[test]
fn one_channel_batches() {
    let (_dir, manifest) = data();
    let preprocessing = Preprocessing { channels: 1, ..Preprocessing::for_size(24) };
    let loader = Loader::eval(manifest.samples(Split::Test), preprocessing, 4, 1).unwrap();
    assert_eq!(loader.batches(0).next().unwrap().unwrap().images.dims(), [4, 1, 24, 24]);
}

#[test]
fn every_change_at_once_and_mixed_classes() {
    let (_dir, manifest) = data();
    let samples = manifest.samples(Split::Train);
    let classes = manifest.classes().len();
    let augmentation = Augmentation {
        vertical_flip: 0.5,
        rotation: 20.0,
        rand_augment: Some(RandAugment::default()),
        colour_jitter: Some(ColourJitter { brightness: 0.3, contrast: 0.3, saturation: 0.3, hue: 0.1 }),
        erasing: Some(Erasing::default()),
        mix: Mix::Either { mix_up: 0.4, cut_mix: 1.0 },
        ..Augmentation::default()
    };
    let epoch = |workers| -> Vec<_> {
        let preprocessing = Preprocessing::for_size(24);
        let loader = Loader::train(samples.clone(), preprocessing, augmentation.clone(), 6, 7, workers).unwrap();
        let loader = loader.classes(classes).sampling(Sampling::Weighted { power: 1.0 }).unwrap();
        let batches = loader.batches(0).map(|batch| {
            let targets: Vec<Vec<f32>> = batch.as_ref().unwrap().soft_targets.as_ref().unwrap().to_vec2().unwrap();
            (targets, plain(batch))
        });
        batches.collect()
    };
    let one = epoch(1);
    assert!(epoch(3) == one, "whatever the number of workers");
    let mut shared = 0;
    for (targets, (pixels, labels, _)) in &one {
        assert!(pixels.iter().all(|value| (-1.0..=1.0).contains(value)));
        for (i, target) in targets.iter().enumerate() {
            assert_eq!(target.len(), classes);
            assert!((target.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            // Nothing but the image's class and that of the one before.
            let before = labels[(i + labels.len() - 1) % labels.len()];
            let others = target.iter().enumerate().filter(|(c, _)| *c as u32 != labels[i] && *c as u32 != before);
            assert!(others.map(|(_, share)| *share).all(|share| share == 0.0));
            shared += usize::from(target.iter().filter(|share| **share > 0.0).count() == 2);
        }
    }
    assert!(shared > 0, "some images are of two classes");
    // Without mixing there are no soft targets.
    let batch = train(samples, 6, 7, 1).batches(0).next().unwrap().unwrap();
    assert!(batch.soft_targets.is_none());
}

#[test]
fn a_sheet_shows_each_image_before_and_after() {
    let (_dir, manifest) = data();
    let sheet = Sheet { images: 3, epochs: 2, seed: 7 };
    let preprocessing = Preprocessing::for_size(24);
    let draw = |augmentation: &Augmentation| {
        let file = sheet.draw(&manifest, &preprocessing, augmentation).unwrap();
        image::load_from_memory(&file).unwrap().to_rgb8()
    };
    let published = draw(&Augmentation::default());
    assert_eq!(published.dimensions(), (3 * 28 + 4, 3 * 28 + 4));
    // The whole picture, never flipped: what training sees is then what evaluation sees but for its margin.
    let erased = Augmentation {
        erasing: Some(Erasing { probability: 1.0, scale: [0.9, 0.9], ratio: [1.0, 1.0] }),
        ..Augmentation::default()
    };
    let grey = |sheet: &image::RgbImage, column: u32| {
        (0..24 * 24).filter(|i| sheet.get_pixel(4 + column * 28 + i % 24, 4 + i / 24).0 == [128; 3]).count()
    };
    let sheet = draw(&erased);
    assert!(grey(&sheet, 0) < 300 && grey(&sheet, 1) >= 500 && grey(&sheet, 2) >= 500);
}
