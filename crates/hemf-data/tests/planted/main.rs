//! Planted faults of many kinds, each of which an audit must find. `docs/planted-faults.md` lists them.
#![cfg(unix)]

mod files;
mod lists;
#[path = "../sound/mod.rs"]
mod sound;

use std::fs;
use std::path::Path;

use files::FILES;
use hemf_data::audit::Severity;
use hemf_data::{Manifest, Prepare, Row};
use lists::LISTS;
use sound::{audit, sound};

/// What is done to a folder of sound pictures.
enum Plant {
    /// Something to its files.
    Files(fn(&Path)),
    /// Something to the rows of its manifest before it is written.
    Rows(fn(&mut Vec<Row>)),
    /// Something to the manifest's text.
    Text(fn(&str) -> String),
}

/// What is planted, as the page says it; the finding and its severity; what the finding must name; and how.
type Fault = (&'static str, &'static str, Severity, &'static str, Plant);

fn plant(root: &Path, what: &Plant) {
    sound(root);
    let list = root.join("manifest.csv");
    let prepared = || Prepare::default().run(root).unwrap().manifest;
    match what {
        Plant::Files(change) => change(root),
        Plant::Rows(change) => {
            let mut rows = prepared().rows().to_vec();
            change(&mut rows);
            Manifest::new(root, 1, "by hand", rows).unwrap().write(&list).unwrap();
        }
        Plant::Text(change) => {
            prepared().write(&list).unwrap();
            fs::write(&list, change(&fs::read_to_string(&list).unwrap())).unwrap();
        }
    }
}

#[test]
fn every_planted_fault_is_found() {
    for (fault, kind, severity, named, what) in FILES.iter().chain(&LISTS) {
        let dir = tempfile::tempdir().unwrap();
        plant(dir.path(), what);
        let audit = audit(dir.path());
        let names = |text: &str| text.contains(named);
        let found = audit.of_kind(kind).any(|found| {
            let images = || found.images.iter().any(|image| names(&image.path) || names(&image.what));
            found.severity == *severity && (names(&found.message) || images())
        });
        assert!(found, "{fault}: {:#?}", audit.findings);
        // Nothing worse is made of what is done to files.
        if matches!(what, Plant::Files(_)) {
            assert_eq!(audit.severity(), Some(*severity), "{fault}: {:#?}", audit.findings);
        }
        for report in [audit.to_text(), audit.to_json(), audit.to_html()] {
            assert!(report.contains(named) && report.contains(kind), "{fault}: {report}");
        }
    }
}

#[test]
fn the_page_of_planted_faults_lists_these() {
    let page = include_str!("../../../../docs/planted-faults.md");
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && line.contains('`')).collect();
    let planted: Vec<String> = FILES
        .iter()
        .chain(&LISTS)
        .map(|(fault, kind, severity, ..)| {
            format!("| {fault} | `{kind}` | {} |", format!("{severity:?}").to_lowercase())
        })
        .collect();
    assert_eq!(listed, planted);
}
