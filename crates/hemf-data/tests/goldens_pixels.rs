//! Equality with Pillow and torchvision, by the numbers in the goldens folder.
//!
//! Every case whose file is present runs; a test that finds no case fails.

mod common;

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use common::{floats, folder, integers, json, number};
use hemf_data::{Augmentation, CropBox, Draws, Geometry, Preprocessing, Raster, Transform};

fn tensors() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder().join("images.safetensors"), &Device::Cpu).unwrap()
}

fn bytes(tensor: &Tensor) -> Vec<u8> {
    assert_eq!(tensor.dtype(), DType::U8);
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn raster(tensor: &Tensor) -> Raster {
    let (height, width, channels) = tensor.dims3().unwrap();
    Raster::new(width, height, channels, bytes(tensor))
}

/// Largest and mean difference of two rows of levels.
fn difference(a: &[u8], b: &[u8]) -> (u8, f64) {
    assert_eq!(a.len(), b.len());
    let each = || a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    (each().max().unwrap_or(0), each().map(f64::from).sum::<f64>() / a.len() as f64)
}

fn is_jpeg(file: &str) -> bool {
    file.ends_with(".jpg")
}

#[test]
fn decoded_pixels() {
    let (manifest, tensors) = (json("images_manifest.json"), tensors());
    let mut cases = 0;
    for (key, expected) in &tensors {
        let Some(name) = key.strip_prefix("decoded_rgb_u8/") else { continue };
        // Of a large picture only the first rows are kept.
        let file = name.split("_first").next().unwrap();
        let path = folder().join("images").join(file);
        if !path.exists() {
            continue;
        }
        let picture = hemf_data::decode(&path).unwrap();
        let expected = bytes(expected);
        let (largest, mean) = difference(&picture.pixels()[..expected.len()], &expected);
        println!("decode {file:24} largest {largest:3} mean {mean:.4}");
        if is_jpeg(file) {
            assert!(mean < 0.6, "{file}: {mean}");
        } else {
            assert_eq!(largest, 0, "{file}");
        }
        cases += 1;
    }
    assert!(cases > 0);
    for image in manifest["images"].as_array().unwrap() {
        let file = image["file"].as_str().unwrap();
        let path = folder().join("images").join(file);
        if path.exists() {
            let picture = hemf_data::decode(&path).unwrap();
            let size = [picture.width() as u64, picture.height() as u64];
            assert_eq!(size.to_vec(), integers(&image["size_wh"]), "{file}");
        }
    }
}

#[test]
fn resize_alone() {
    let tensors = tensors();
    let mut cases = 0;
    for (key, input) in &tensors {
        let Some(name) = key.strip_prefix("resample_in_u8/") else { continue };
        let expected = raster(&tensors[&format!("resample_out_u8/{name}")]);
        let actual = hemf_data::resize(&raster(input), expected.width(), expected.height());
        assert!(actual == expected, "{name}");
        cases += 1;
    }
    assert!(cases > 0);
}

#[test]
fn resized_crops() {
    let (manifest, tensors) = (json("images_manifest.json"), tensors());
    let mut cases = 0;
    for case in manifest["resized_crops"].as_array().unwrap() {
        let source = case["source"].as_str().unwrap();
        let path = folder().join("images").join(source);
        let Some(expected) = tensors.get(case["tensor"].as_str().unwrap()) else { continue };
        if !path.exists() {
            continue;
        }
        let crop = CropBox {
            top: number(case, "top"),
            left: number(case, "left"),
            height: number(case, "height"),
            width: number(case, "width"),
        };
        let picture = hemf_data::decode(&path).unwrap();
        let out = integers(&case["out"]);
        let actual = hemf_data::resized_crop(&picture, crop, out[1] as usize, out[0] as usize);
        let (largest, mean) = difference(actual.pixels(), &bytes(expected));
        println!("crop {source} {crop:?}: largest {largest} mean {mean:.4}");
        if is_jpeg(source) {
            assert!(mean < 0.6, "{source} {crop:?}: {mean}");
        } else {
            assert_eq!(largest, 0, "{source} {crop:?}");
        }
        cases += 1;
    }
    assert!(cases > 0);
}

#[test]
fn evaluation_pipeline() {
    let (manifest, tensors) = (json("images_manifest.json"), tensors());
    let transform = Transform::Eval { preprocessing: Preprocessing::default() };
    let mut cases = 0;
    for image in manifest["images"].as_array().unwrap() {
        let file = image["file"].as_str().unwrap();
        let path = folder().join("images").join(file);
        if !path.exists() {
            continue;
        }
        let picture = hemf_data::decode(&path).unwrap();
        if let Some(expected) = tensors.get(&format!("resized_u8/{file}")) {
            let expected = raster(expected);
            let actual = hemf_data::resize(&picture, expected.width(), expected.height());
            assert!(actual == expected || is_jpeg(file), "{file} resized");
        }
        let mut out = vec![0f32; 3 * 224 * 224];
        transform.apply(&picture, Geometry::Central, &mut out);

        if let Some(expected) = tensors.get(&format!("resized_cropped_u8/{file}")) {
            let levels = out.iter().map(|v| ((v * 0.5 + 0.5) * 255.0).round() as u8);
            let expected = expected.permute((2, 0, 1)).unwrap().contiguous().unwrap();
            let (largest, mean) = difference(&levels.collect::<Vec<_>>(), &bytes(&expected));
            println!("eval {file:24} largest {largest:3} mean {mean:.4}");
            assert!(if is_jpeg(file) { mean < 0.6 } else { largest == 0 }, "{file}");
        }
        if let Some(expected) = tensors.get(&format!("normalized_f32/{file}")) {
            let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
            for (a, b) in out.iter().zip(&expected) {
                assert!((a - b).abs() <= 1e-6, "{file}: {a} and {b}");
            }
        }
        let level = 2.0 / 255.0;
        let tolerance = if is_jpeg(file) { 2.0 * level } else { 1e-6 };
        for (a, b) in out.iter().zip(floats(&image["first5"])) {
            assert!((f64::from(*a) - b).abs() <= tolerance, "{file} first5: {a} and {b}");
        }
        // Moments: exact up to summation for PNG, up to the decoder's mean difference for JPEG.
        let mean = out.iter().map(|&v| f64::from(v)).sum::<f64>() / out.len() as f64;
        let square = |v: f32| (f64::from(v) - mean).powi(2);
        let std = (out.iter().map(|&v| square(v)).sum::<f64>() / (out.len() - 1) as f64).sqrt();
        let tolerance = if is_jpeg(file) { 0.6 * level } else { 1e-5 };
        assert!((mean - image["tensor_mean"].as_f64().unwrap()).abs() <= tolerance, "{file} {mean}");
        assert!((std - image["tensor_std"].as_f64().unwrap()).abs() <= tolerance, "{file} {std}");
        cases += 1;
    }
    assert!(cases > 0);
}

/// A number that a crop box has.
type Quantity<'a> = &'a dyn Fn(&CropBox) -> f64;

#[test]
fn random_crop_statistics() {
    let manifest = json("images_manifest.json");
    let statistics = manifest["random_resized_crop"]["statistics"].as_array().unwrap();
    assert!(!statistics.is_empty());
    let transform = Transform::Train { preprocessing: Preprocessing::default(), augmentation: Augmentation::default() };
    const N: usize = 20_000;
    for case in statistics {
        let (width, height) = (number(case, "image_width"), number(case, "image_height"));
        let mut flips = 0;
        let boxes: Vec<CropBox> = (0..N as u64)
            .map(|sample| {
                let mut draws = Draws::new("augment", 11, &[0, sample]);
                match transform.draw(&mut draws, (width, height)).geometry {
                    Geometry::Random { crop, flip } => {
                        flips += usize::from(flip);
                        crop
                    }
                    Geometry::Central | Geometry::Corner { .. } => panic!("training draws"),
                }
            })
            .collect();
        let name = format!("{width} x {height}");
        let samples = case["samples"].as_f64().unwrap();
        let area = |b: &CropBox| (b.width * b.height) as f64 / (width * height) as f64;
        let aspect = |b: &CropBox| (b.width as f64 / b.height as f64).ln();
        let quantities: [(&str, Quantity); 6] = [
            ("area_ratio", &area),
            ("log_aspect", &aspect),
            ("top", &|b| b.top as f64),
            ("left", &|b| b.left as f64),
            ("box_height", &|b| b.height as f64),
            ("box_width", &|b| b.width as f64),
        ];
        for (key, quantity) in quantities {
            let mut values: Vec<f64> = boxes.iter().map(quantity).collect();
            let (mean, expected) = (values.iter().sum::<f64>() / N as f64, &case[key]);
            let allowed = 4.0 * expected["std"].as_f64().unwrap() * (1.0 / N as f64 + 1.0 / samples).sqrt();
            let off = (mean - expected["mean"].as_f64().unwrap()).abs();
            assert!(off <= allowed, "{name} {key}: mean {mean}, off by {off}, allowed {allowed}");
            values.sort_by(f64::total_cmp);
            for (share, expected) in expected["quantiles"].as_object().into_iter().flatten() {
                let place = share.parse::<f64>().unwrap() * (N - 1) as f64;
                let value = values[place.round() as usize];
                let off = (value - expected.as_f64().unwrap()).abs();
                // A jump of the distribution at this very quantile may fall to either side.
                let near = values[(place - 150.0).max(0.0) as usize]..=values[(place as usize + 150).min(N - 1)];
                assert!(off <= 0.02 || near.contains(&expected.as_f64().unwrap()), "{name} {key} {share}: {value}");
            }
        }
        let fallback = integers(&case["fallback_box_top_left_height_width"]);
        let is_fallback =
            |b: &&CropBox| [b.top, b.left, b.height, b.width].iter().zip(&fallback).all(|(a, b)| *a as u64 == *b);
        let share = boxes.iter().filter(is_fallback).count() as f64 / N as f64;
        let off = (share - case["share_equal_to_fallback"].as_f64().unwrap()).abs();
        assert!(off <= 0.015, "{name}: fallback {share}");
        assert!((flips as f64 / N as f64 - 0.5).abs() < 4.0 * 0.5 / (N as f64).sqrt(), "{name}: {flips}");
    }
}
