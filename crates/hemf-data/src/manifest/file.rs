//! The manifest as a file.

use std::fmt;
use std::path::Path;

use super::row::{COLUMNS, column_problem};
use super::{Manifest, Row, TITLE};
use crate::text::{self, Lines};
use crate::{Error, replace::replace};

impl Manifest {
    /// Reads a manifest and checks its seal. The images themselves are not looked at: [`Self::verify`].
    ///
    /// # Errors
    /// Not a manifest, a line that cannot be understood, or rows changed since it was written.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let (manifest, changes) = Self::read_unsealed(path)?;
        match changes.first() {
            None => Ok(manifest),
            Some(change) => Err(Error::Seal { path: path.into(), what: change.to_string() }),
        }
    }

    /// The manifest as the file now says it, sealed anew, and what was changed since it was written.
    pub(crate) fn read_unsealed(path: &Path) -> Result<(Self, Vec<SealBreak>), Error> {
        let text = text::read(path)?;
        let stored = parse(path, &text)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let root = folder.join(&stored.source);
        let manifest = Self::new(&root, stored.seed, &stored.rule, stored.rows).map_err(|error| Error::Manifest {
            path: path.into(),
            line: None,
            reason: error.to_string(),
        })?;
        if manifest.seal == stored.seal {
            return Ok((manifest, Vec::new()));
        }
        let (now, then) = (manifest.rows.len(), stored.checks.len());
        let mut changes = Vec::new();
        if now != then {
            changes.push(SealBreak::Other(format!("{now} rows, but {then} were sealed")));
        } else {
            for (i, (row, check)) in manifest.rows.iter().zip(&stored.checks).enumerate() {
                if short(row) != *check {
                    changes.push(SealBreak::Row { row: i + 1, path: row.path.clone() });
                }
            }
        }
        if changes.is_empty() {
            changes.push(SealBreak::Other("seed, rule or seal is not what was sealed".into()));
        }
        Ok((manifest, changes))
    }

    /// Writes the manifest: to a temporary name first, so that no half of it is ever seen.
    ///
    /// # Errors
    /// The disk does not take it; whatever had the name is then still there.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
        let text = self.to_text(&self.source_seen_from(folder)?);
        replace(path, text.as_bytes()).map_err(Error::write(path))
    }

    /// The image folder as a manifest in `folder` names it: relative when it lies in there.
    fn source_seen_from(&self, folder: &Path) -> Result<String, Error> {
        let real = |path: &Path| path.canonicalize().map_err(Error::read(path));
        let (root, folder) = (real(&self.root)?, real(folder)?);
        let source = match root.strip_prefix(&folder) {
            Ok(below) if below.as_os_str().is_empty() => Path::new("."),
            Ok(below) => below,
            Err(_) => &root,
        };
        match source.to_str() {
            Some(text) if !text.contains(['\n', '\r']) => Ok(text.to_string()),
            _ => Err(Error::folder(&root, "the folder's name is not one line of UTF-8; rename it")),
        }
    }

    fn to_text(&self, source: &str) -> String {
        let mut writer = csv::WriterBuilder::new().comment(Some(b'#')).from_writer(Vec::new());
        let further = self.extra_columns();
        let header = COLUMNS.into_iter().chain(further.iter().copied());
        writer.write_record(header).expect("memory takes it");
        for row in &self.rows {
            writer.write_record(row.to_fields()).expect("rows have as many fields as columns");
        }
        let table = writer.into_inner().expect("memory takes it");
        let table = String::from_utf8(table).expect("all fields are UTF-8");
        let Self { seed, rule, seal, .. } = self;
        let mut text =
            format!("# {TITLE}\n# seed: {seed}\n# rule: {rule}\n# source: {source}\n# seal: {seal}\n{table}");
        for (i, rows) in self.rows.chunks(16).enumerate() {
            let checks: Vec<String> = rows.iter().map(short).collect();
            let (first, last) = (16 * i + 1, 16 * i + rows.len());
            text += &format!("# rows {first} to {last}: {}\n", checks.join(" "));
        }
        text
    }
}

/// Something in a manifest that is not what was sealed.
pub(crate) enum SealBreak {
    /// A row, counted from 1.
    Row { row: usize, path: String },
    /// Something else, in words.
    Other(String),
}

impl fmt::Display for SealBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { row, path } => write!(f, "row {row} ({path}) is not what was sealed"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// The first digits of a row's digest.
fn short(row: &Row) -> String {
    row.digest().to_hex()[..4].to_string()
}

/// A manifest file, read but not yet believed.
struct Stored {
    seed: u64,
    rule: String,
    source: String,
    seal: String,
    rows: Vec<Row>,
    checks: Vec<String>,
}

fn parse(path: &Path, text: &str) -> Result<Stored, Error> {
    let bad = |line: Option<u64>, reason: String| Error::Manifest { path: path.into(), line, reason };
    let comment = |line: &str| line.strip_prefix('#').map(|rest| rest.trim().to_string());
    let head: Vec<String> = text.lines().map_while(comment).collect();
    if head.first().map(String::as_str) != Some(TITLE) {
        return Err(bad(Some(1), format!("expected `# {TITLE}`: write a manifest with prepare")));
    }
    let field = |name: &str| {
        let value = head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map(str::to_string).ok_or_else(|| bad(None, format!("no line `# {name}: ...`")))
    };
    let seed = field("seed")?;
    let seed = seed.parse().map_err(|_| bad(None, format!("seed {seed:?} is not a whole number")))?;

    // The check digits stand at the very end, below anything a path could contain.
    let tail = text.lines().rev().map_while(|line| line.strip_prefix("# rows "));
    let mut tail: Vec<&str> = tail.collect();
    tail.reverse();
    let digits = tail.iter().filter_map(|line| line.split_once(':'));
    let checks = digits.flat_map(|(_, checks)| checks.split_whitespace().map(str::to_string)).collect();

    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
    let mut lines = Lines::new(text);
    let columns = reader.headers().map_err(|error| bad(None, error.to_string()))?;
    let header_line = Some(head.len() as u64 + 1);
    if columns.iter().take(COLUMNS.len()).ne(COLUMNS) {
        return Err(bad(header_line, format!("expected the columns {}", COLUMNS.join(","))));
    }
    let extra: Vec<String> = columns.iter().skip(COLUMNS.len()).map(str::to_string).collect();
    if let Some(problem) = column_problem(extra.iter().map(String::as_str)) {
        return Err(bad(header_line, problem));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let (line, reason) = lines.problem(&error);
            bad(line, reason)
        })?;
        let line = record.position().map(|position| lines.of(position));
        rows.push(Row::from_fields(&record, &extra).map_err(|reason| bad(line, reason))?);
    }
    Ok(Stored { seed, rule: field("rule")?, source: field("source")?, seal: field("seal")?, rows, checks })
}
