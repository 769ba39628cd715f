//! An audit as one HTML file that needs nothing else: tables, findings, and the likest pairs side by side.

use std::fmt::Write as _;

use rayon::prelude::*;

use super::{Audit, Finding, Pair, text, thumbnail};

/// Near duplicates shown with pictures.
const PAIRS: usize = 40;

/// Files of a finding shown with pictures, and those named.
const PICTURES: usize = 12;
const NAMED: usize = 200;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;text-align:right}\
td:first-child,th:first-child{text-align:left}.error{border-left:6px solid #b00020}.warning{border-left:6px solid #c77700}\
.note{border-left:6px solid #5b7a99}section{padding:.2rem 1rem;margin:1rem 0;background:#f7f7f7}figure{display:inline-block;\
margin:.4rem;vertical-align:top;width:130px;font-size:11px;overflow-wrap:anywhere}img{max-width:120px;max-height:120px}\
.pair{display:inline-block;border:1px solid #ddd;margin:.3rem;padding:.2rem}summary{cursor:pointer}";

pub(super) fn report(audit: &Audit) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Audit of {0}</title><style>{STYLE}</style>\
         <h1>Audit of {0}</h1><p>{1} images, {2} readable{3}</p>",
        escaped(&audit.folder.display().to_string()),
        audit.images,
        audit.readable,
        audit.rule.as_ref().map(|rule| format!(", split: {}", escaped(rule))).unwrap_or_default()
    );
    page += "<h2>Images per class</h2>";
    table(&mut page, &audit.balance.splits, &audit.balance.classes);
    page += "<h2>Findings</h2>";
    if audit.findings.is_empty() {
        page += "<p>Nothing found.</p>";
    }
    for finding in &audit.findings {
        section(&mut page, audit, finding);
    }
    if !audit.associations.is_empty() {
        page += "<h2>Class and properties that should not matter</h2>";
    }
    for association in &audit.associations {
        let _ = write!(page, "<h3>{} (Cram&eacute;r's V {:.2})</h3>", association.property, association.v);
        let values: Vec<&str> = association.values.iter().map(String::as_str).collect();
        table(&mut page, &values, &association.counts);
    }
    if !audit.near_duplicates.is_empty() {
        page += "<h2>Near duplicates: across splits, of two classes, others; the likest first in each</h2>";
        let shown = &audit.near_duplicates[..audit.near_duplicates.len().min(PAIRS)];
        let pairs: Vec<String> = shown.par_iter().map(|shown| pair(audit, shown)).collect();
        page += &pairs.concat();
    }
    page + "</html>\n"
}

fn section(page: &mut String, audit: &Audit, finding: &Finding) {
    let class = text::name(finding.severity);
    let _ = write!(
        page,
        "<section class=\"{class}\"><p><b>{}: {}.</b> {}</p>",
        class,
        finding.kind,
        escaped(&finding.message)
    );
    let pictures: Vec<String> = finding.images[..finding.images.len().min(PICTURES)]
        .par_iter()
        .map(|image| figure(audit, &image.path, &image.what))
        .collect();
    *page += &pictures.concat();
    if finding.images.len() > PICTURES {
        let _ = write!(page, "<details><summary>all {}</summary><ul>", finding.images.len());
        for image in finding.images.iter().take(NAMED) {
            let _ = write!(page, "<li>{} {}</li>", escaped(&image.path), escaped(&image.what));
        }
        if finding.images.len() > NAMED {
            let _ = write!(page, "<li>and {} more, in the JSON</li>", finding.images.len() - NAMED);
        }
        *page += "</ul></details>";
    }
    *page += "</section>";
}

fn figure(audit: &Audit, path: &str, what: &str) -> String {
    let picture = thumbnail::data_url(&audit.folder.join(path), &audit.reading)
        .map(|url| format!("<img alt=\"\" src=\"{url}\"><br>"))
        .unwrap_or_default();
    format!("<figure>{picture}{} {}</figure>", escaped(path), escaped(what))
}

fn pair(audit: &Audit, pair: &Pair) -> String {
    let mut what = format!("{:.4}", pair.correlation);
    let marks =
        [(pair.crosses_splits, "other split"), (pair.other_class, "other class"), (pair.same_group, "same group")];
    marks.iter().filter(|(holds, _)| *holds).for_each(|(_, mark)| what += &format!(", {mark}"));
    format!("<div class=\"pair\">{}{}</div>", figure(audit, &pair.first, &what), figure(audit, &pair.second, ""))
}

fn table(page: &mut String, columns: &[&str], rows: &[(String, Vec<usize>)]) {
    *page += "<table><tr><th>class</th>";
    columns.iter().for_each(|column| *page += &format!("<th>{}</th>", escaped(column)));
    *page += "</tr>";
    for (name, counts) in rows {
        *page += &format!("<tr><td>{}</td>", escaped(name));
        counts.iter().for_each(|count| *page += &format!("<td>{count}</td>"));
        *page += "</tr>";
    }
    *page += "</table>";
}

/// Text that HTML takes for text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
