//! An audit to read in a terminal.

use std::fmt::Write as _;

use super::{Audit, Severity};

/// Files shown of each finding; all are in the JSON.
const SHOWN: usize = 5;

pub(super) fn report(audit: &Audit) -> String {
    let mut text = format!("{}: {} images, {} readable", audit.folder.display(), audit.images, audit.readable);
    if let Some(rule) = &audit.rule {
        let _ = write!(text, ", split: {rule}");
    }
    text += "\n\n";
    table(&mut text, "class", &audit.balance.splits, &audit.balance.classes);
    for association in &audit.associations {
        let _ = writeln!(text, "\nclass and {} (Cramér's V {:.2})", association.property, association.v);
        let values: Vec<&str> = association.values.iter().map(String::as_str).collect();
        table(&mut text, "class", &values, &association.counts);
    }
    text.push('\n');
    for finding in &audit.findings {
        let _ = writeln!(text, "{:7}  {}: {}", name(finding.severity), finding.kind, finding.message);
        for image in finding.images.iter().take(SHOWN) {
            let gap = if image.what.is_empty() { "" } else { ": " };
            let _ = writeln!(text, "           {}{gap}{}", image.path, image.what);
        }
        if finding.images.len() > SHOWN {
            let _ = writeln!(text, "           and {} more", finding.images.len() - SHOWN);
        }
    }
    if audit.findings.is_empty() {
        text += "nothing found\n";
    }
    text
}

pub(super) fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn table(text: &mut String, corner: &str, columns: &[&str], rows: &[(String, Vec<usize>)]) {
    let first = rows.iter().map(|(name, _)| name.chars().count()).chain([corner.len()]).max().unwrap_or(0);
    let widths: Vec<usize> = columns.iter().map(|column| column.chars().count().max(6)).collect();
    let _ = write!(text, "{corner:first$}");
    for (column, width) in columns.iter().zip(&widths) {
        let _ = write!(text, "  {column:>width$}");
    }
    text.push('\n');
    for (name, counts) in rows {
        let _ = write!(text, "{name:first$}");
        for (count, width) in counts.iter().zip(&widths) {
            let _ = write!(text, "  {count:>width$}");
        }
        text.push('\n');
    }
}
