//! The files of a report.

use hemf_metrics::plot::{self, Cells};
use hemf_metrics::uncertainty::{Bootstrap, Reliability, Resampling};
use hemf_metrics::{
    ClassScores, ConfusionMatrix, Intervals, Predictions, ReportOptions, RocCurves, ScoreHistograms, write_report,
    write_report_with,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const FILES: [&str; 10] = [
    "confusion_matrix.png",
    "confusion_matrix.svg",
    "confusion_matrix_normalised.png",
    "confusion_matrix_normalised.svg",
    "predictions.csv",
    "report.json",
    "report.txt",
    "roc.csv",
    "roc.png",
    "roc.svg",
];

/// Three classes, of which the last does not occur.
fn predictions() -> Predictions {
    let classes = ["a <b> & \"c\"", "a class with a name far too long for any label of a picture", "γ"];
    let ids = ["1.png", "2.png", "3.png", "4.png"].map(String::from).to_vec();
    let scores = vec![0.7, 0.2, 0.1, 0.4, 0.5, 0.1, 0.2, 0.6, 0.2, 0.1, 0.2, 0.7];
    Predictions::new(classes.map(String::from).to_vec(), ids, vec![0, 0, 1, 1], scores).unwrap()
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn a_report_is_ten_files_and_always_the_same_bytes() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // The folder is made; what an earlier report left is replaced.
    let nested = first.path().join("run/report");
    write_report(&nested, &predictions()).unwrap();
    write_report(&nested, &predictions()).unwrap();
    write_report(second.path(), &predictions()).unwrap();
    let files = contents(&nested);
    assert_eq!(files.keys().collect::<Vec<_>>(), FILES);
    assert_eq!(files, contents(second.path()));
}

#[test]
fn the_report_names_what_is_undefined() {
    let folder = tempfile::tempdir().unwrap();
    let report = write_report(folder.path(), &predictions()).unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("report.json")).unwrap()).unwrap();
    assert_eq!(json["accuracy"], 0.5);
    assert_eq!(json["confusion_matrix"], serde_json::json!([[1, 1, 0], [0, 1, 1], [0, 0, 0]]));
    assert!(json["classes"][2]["auc"].is_null());
    let expected = serde_json::json!({
        "score": "auc",
        "class": "γ",
        "reason": "no sample belongs to the class",
        "in_averages": "left out of the averages",
    });
    assert!(json["undefined"].as_array().unwrap().contains(&expected));
    assert!(report.to_text().contains("recall of γ: no sample belongs to the class (counted as 0 in the averages)"));
    let points = fs::read_to_string(folder.path().join("roc.csv")).unwrap();
    assert!(points.starts_with("curve,class,threshold,false_positive_rate,true_positive_rate\n"));
    // The class without samples has a false positive rate only.
    assert!(points.contains("class,γ,inf,0,\n"), "{points}");
    assert!(points.contains("macro,,,1,1\n"));
}

#[test]
fn every_picture_comes_with_its_numbers() {
    let bootstrap = Some(Bootstrap { resamples: 100, ..Bootstrap::default() });
    let options = ReportOptions { bootstrap, all_pictures: true, ..ReportOptions::default() };
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_report_with(first.path(), &predictions(), &options).unwrap();
    // The same bytes again, on one thread.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| write_report_with(second.path(), &predictions(), &options)).unwrap();
    let files = contents(first.path());
    assert_eq!(files, contents(second.path()));
    let pictures = files.keys().filter_map(|name| name.strip_suffix(".svg"));
    let pictures: Vec<&str> = pictures.collect();
    assert_eq!(pictures.len(), 7, "{pictures:?}");
    for picture in pictures {
        assert!(files.contains_key(&format!("{picture}.png")) && files.contains_key(&format!("{picture}.csv")));
        let svg = std::str::from_utf8(&files[&format!("{picture}.svg")]).unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{picture}");
    }
    let table = |name: &str| std::str::from_utf8(&files[name]).unwrap();
    assert!(table("confusion_matrix.csv").contains("\n\"a <b> & \"\"c\"\"\",1,1,0\n"));
    assert!(table("confusion_matrix_normalised.csv").ends_with("\nγ,,,\n"));
    assert!(table("class_scores.csv").contains("\nγ,0,Sensitivity,,,\n"));
    // Confidence 0.7 of the first sample is right, of the last wrong; 0.7 lies in (10/15, 11/15].
    assert!(table("reliability.csv").contains("\n10,2,0.7,0.5,"), "{}", table("reliability.csv"));
    assert_eq!(table("roc_band.csv").lines().count(), 102);
    assert_eq!(table("score_histograms.csv").lines().count(), 1 + 3 * 20);
    assert!(table("precision_recall.csv").starts_with("curve,class,threshold,recall,precision\n"));
}

#[test]
fn any_number_of_classes_can_be_drawn() {
    for classes in [1, 2, 7, 50] {
        let names: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
        let ids = (0..classes).map(|sample| sample.to_string()).collect();
        let scores = (0..classes * classes).map(|i| f64::from(u8::from(i / classes == i % classes))).collect();
        let predictions = Predictions::new(names, ids, (0..classes).collect(), scores).unwrap();
        let curves = RocCurves::new(&predictions);
        let histograms = ScoreHistograms::new(&predictions, 20);
        let resampling = Resampling::within_classes(predictions.truth()).unwrap();
        let bootstrap = Bootstrap { resamples: 20, ..Bootstrap::default() };
        let intervals = Intervals::new(&predictions, &resampling, &bootstrap).unwrap();
        let reliability = Reliability::new(&predictions, &resampling, &bootstrap).unwrap();
        let scores = ClassScores::new(&predictions.confusion_matrix(), predictions.classes(), &intervals);
        for picture in [
            plot::precision_recall_curves(&curves),
            plot::reliability_diagram(&reliability),
            plot::score_histograms(&histograms),
            plot::class_bars(&scores),
        ] {
            let svg = picture.svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf\""));
            let (width, height) = picture.size();
            assert!(width < 1200.0 && height < 2300.0, "{classes}: {width} x {height}");
            assert!(picture.png(1.0).is_ok());
        }
    }
}

#[test]
fn pictures_stand_alone() {
    let curves = RocCurves::new(&predictions());
    let matrix = predictions().confusion_matrix();
    for picture in [
        plot::confusion_matrix(&matrix, predictions().classes(), Cells::Counts),
        plot::confusion_matrix(&matrix, predictions().classes(), Cells::RowShares),
        plot::roc_curves(&curves),
        plot::learning_curves(&[]),
    ] {
        let svg = picture.svg();
        assert!(svg.contains("<title>") && svg.contains("<desc>"));
        assert!(!svg.contains("<b>"), "names are escaped");
        assert!(!svg.contains("NaN") && !svg.contains("inf\""));
        // Letters are outlines: no text element, no font, nothing from elsewhere.
        assert!(!svg.contains("<text") && !svg.contains("font-family") && !svg.contains("url("));
        let used = svg.split("xlink:href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap());
        for id in used {
            assert!(svg.contains(&format!("<path id=\"{id}\"")), "{id} is not defined");
        }
        let (width, height) = picture.size();
        let pixels = tiny_skia::Pixmap::decode_png(&picture.png(1.5).unwrap()).unwrap();
        assert_eq!(pixels.width(), (width * 1.5).ceil() as u32);
        assert_eq!(pixels.height(), (height * 1.5).ceil() as u32);
        let inked = pixels.pixels().iter().filter(|pixel| pixel.red() < 200).count();
        assert!(inked > 500, "{inked} dark pixels");
    }
}

#[test]
fn true_classes_are_rows() {
    // One sample of class "row" taken for "column": the only full cell is in the first row, second column.
    let matrix = ConfusionMatrix::from_labels(2, &[0], &[1]).unwrap();
    let names = ["row", "column"].map(String::from);
    let svg = plot::confusion_matrix(&matrix, &names, Cells::Counts).svg();
    let darkest =
        svg.lines().filter(|line| line.starts_with("<rect")).find(|line| line.contains("width=\"120\" height=\"120\""));
    let place = |line: &str, name: &str| -> f64 {
        let value = line.split(&format!(" {name}=\"")).nth(1).unwrap();
        value.split('"').next().unwrap().parse().unwrap()
    };
    let cell = darkest.unwrap();
    // Without numbers to read: the panel is the square of twice the side.
    let panel = svg.lines().find(|line| line.contains("width=\"240\" height=\"240\"")).unwrap();
    assert_eq!(place(cell, "y"), place(panel, "y"));
    assert_eq!(place(cell, "x"), place(panel, "x") + 120.0);
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("report.txt/in the way")).unwrap();
    let error = write_report(folder.path(), &predictions()).unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.contains("report.txt"), "{error}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "{left:?}");

    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let error = write_report(&file, &predictions()).unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.contains("file"), "{error}");
}
