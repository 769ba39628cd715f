//! `report/index.html`: one file that needs nothing else.

use std::path::Path;

use askama::Template;
use hemf_train::Error;

use super::{Findings, sections};
use crate::Evaluation;
use crate::png::data_url;

/// The page, as the template names its parts. Texts are escaped by the template.
#[derive(Template)]
#[template(path = "report.html")]
pub(super) struct Page {
    pub(super) title: String,
    /// The answer in a sentence or two.
    pub(super) answer: Vec<String>,
    pub(super) headlines: Vec<Headline>,
    /// What a reader must know before believing the numbers.
    pub(super) cautions: Vec<String>,
    pub(super) sections: Vec<Section>,
}

/// A number that stands at the top.
pub(super) struct Headline {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) interval: String,
}

/// A part of the page.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) paragraphs: Vec<String>,
    pub(super) figures: Vec<Figure>,
    pub(super) tables: Vec<Table>,
    pub(super) errors: Vec<ErrorCard>,
    /// Text as it is, such as a configuration.
    pub(super) listing: Option<String>,
}

/// A picture with what it shows.
pub(super) struct Figure {
    pub(super) caption: String,
    pub(super) source: String,
    /// Width in pixels below which its letters are too small.
    pub(super) least_width: u32,
    /// Whether it needs the whole width of the page.
    pub(super) wide: bool,
}

/// A table; the first column names the rows.
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    pub(super) notes: Vec<String>,
}

/// An error of the network.
pub(super) struct ErrorCard {
    pub(super) id: String,
    pub(super) truth: String,
    pub(super) said: String,
    pub(super) probability: String,
    pub(super) picture: String,
    pub(super) heat: Vec<(String, String)>,
}

impl Section {
    pub(super) fn new(id: &'static str, title: &str) -> Self {
        let (paragraphs, figures, tables, errors) = Default::default();
        Self { id, title: title.to_owned(), paragraphs, figures, tables, errors, listing: None }
    }
}

/// The page of an evaluation whose pictures were written into `folder`.
pub(super) fn page(folder: &Path, evaluation: &Evaluation, findings: &Findings) -> Result<String, Error> {
    let page = sections::page(folder, evaluation, findings)?;
    let path = folder.join("index.html");
    page.render().map_err(|error| Error::Write { path, source: std::io::Error::other(error) })
}

/// A picture among the report's files.
pub(super) fn figure(folder: &Path, name: &str, caption: &str) -> Result<Figure, Error> {
    let path = folder.join(format!("{name}.svg"));
    let svg =
        std::fs::read(&path).map_err(|error| Error::Checkpoint { path, what: format!("cannot be read: {error}") })?;
    let width = width(&svg);
    Ok(Figure {
        caption: caption.to_owned(),
        source: data_url("image/svg+xml", &svg),
        least_width: (0.65 * width) as u32,
        wide: width > 900.0,
    })
}

/// The width that an SVG file of ours states, in pixels.
fn width(svg: &[u8]) -> f64 {
    let start = String::from_utf8_lossy(&svg[..svg.len().min(300)]).into_owned();
    let stated = start.split_once(" width=\"").and_then(|(_, rest)| rest.split_once('"')?.0.parse().ok());
    stated.unwrap_or(0.0)
}
