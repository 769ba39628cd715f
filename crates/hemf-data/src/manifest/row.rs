//! A row of the manifest.

use std::path::{Component, Path};

use crate::Split;

/// The columns that every manifest has, in order; others may follow.
pub(crate) const COLUMNS: [&str; 9] = ["path", "class", "split", "fold", "group", "width", "height", "bytes", "blake3"];

/// One image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Relative to the image folder, parts joined by `/`, any characters.
    pub path: String,
    /// Name of the class.
    pub class: String,
    /// Where the image goes.
    pub split: Split,
    /// The fold (from 1) whose test images it is among, where the rule has folds.
    pub fold: Option<u32>,
    /// What must not cross splits (a patient, a lesion), where known.
    pub group: Option<String>,
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Size of the file.
    pub bytes: u64,
    /// Hash of the file, 64 hex digits.
    pub blake3: String,
    /// Further columns (age, sex, site, ...) as (name, value), in the table's order, the same names in
    /// every row. An empty value stands for an unknown one.
    pub extra: Vec<(String, String)>,
}

impl Row {
    /// The value of a further column; `None` when it is unknown or there is no such column.
    pub fn extra(&self, name: &str) -> Option<&str> {
        let (_, value) = self.extra.iter().find(|(column, _)| column == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// The row as the fields of a table.
    pub(super) fn to_fields(&self) -> Vec<String> {
        let mut fields = vec![
            self.path.clone(),
            self.class.clone(),
            self.split.name().to_string(),
            self.fold.map(|fold| fold.to_string()).unwrap_or_default(),
            self.group.clone().unwrap_or_default(),
            self.width.to_string(),
            self.height.to_string(),
            self.bytes.to_string(),
            self.blake3.clone(),
        ];
        fields.extend(self.extra.iter().map(|(_, value)| value.clone()));
        fields
    }

    /// A row from the fields of a table: those of [`COLUMNS`], then one for each of `extra`. The error
    /// names the column.
    pub(super) fn from_fields(fields: &csv::StringRecord, extra: &[String]) -> Result<Self, String> {
        fn number<T: std::str::FromStr>(fields: &csv::StringRecord, column: usize) -> Result<T, String> {
            let text = &fields[column];
            text.parse().map_err(|_| format!("{} {text:?} is not a whole number in range", COLUMNS[column]))
        }
        let unless_empty = |text: &str| Some(text.to_string()).filter(|text| !text.is_empty());
        let further = fields.iter().skip(COLUMNS.len()).map(str::to_string);
        Ok(Self {
            path: fields[0].to_string(),
            class: fields[1].to_string(),
            split: Split::from_name(&fields[2])
                .ok_or_else(|| format!("split {:?} is not train, validation or test", &fields[2]))?,
            fold: if fields[3].is_empty() { None } else { Some(number(fields, 3)?) },
            group: unless_empty(&fields[4]),
            width: number(fields, 5)?,
            height: number(fields, 6)?,
            bytes: number(fields, 7)?,
            blake3: fields[8].to_string(),
            extra: extra.iter().cloned().zip(further).collect(),
        })
    }

    /// Hash of all fields, each with its length, so that no two rows read alike.
    pub(super) fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let fold = self.fold.map(|fold| fold.to_string()).unwrap_or_default();
        let group = self.group.as_deref().unwrap_or_default();
        for field in [&self.path, &self.class, self.split.name(), &fold, group, &self.blake3] {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field.as_bytes());
        }
        for number in [u64::from(self.width), u64::from(self.height), self.bytes] {
            hasher.update(&number.to_le_bytes());
        }
        for field in self.extra.iter().flat_map(|(name, value)| [name, value]) {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field.as_bytes());
        }
        hasher.finalize()
    }

    /// What is wrong with the row by itself.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let parts = || Path::new(&self.path).components();
        let hex = self.blake3.len() == 64 && self.blake3.bytes().all(|b| b.is_ascii_hexdigit());
        match () {
            () if parts().count() == 0 => Some("the path is empty"),
            () if !parts().all(|part| matches!(part, Component::Normal(_))) => {
                Some("the path must be relative, without `..`")
            }
            () if self.class.is_empty() => Some("the class is empty"),
            () if !hex => Some("blake3 must have 64 hex digits"),
            () => None,
        }
    }
}

/// Why these names cannot stand beside [`COLUMNS`].
pub(super) fn column_problem<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut seen: Vec<&str> = COLUMNS.to_vec();
    for name in names {
        if name.is_empty() {
            return Some("a further column has no name".into());
        }
        if seen.contains(&name) {
            return Some(format!("the column {name} is there twice"));
        }
        seen.push(name);
    }
    None
}
