//! Images by the names that tables and lists call them.

use std::collections::HashMap;

/// Paths of images, found by path, by file name, or by file name without its extension. The last is
/// how ISIC names images, and how lists name files that have since got another format.
pub(super) struct Names {
    /// `None`: more than one image has the name.
    by_name: HashMap<String, Option<String>>,
}

impl Names {
    pub(super) fn new<'a>(paths: impl Iterator<Item = &'a String> + Clone) -> Self {
        let mut by_name = HashMap::new();
        // Whole paths last: they are never in doubt.
        for path in paths.clone() {
            let name = file_name(path);
            let stem = stem(name);
            for key in if stem == name { vec![name] } else { vec![name, stem] } {
                let entry = by_name.entry(key.to_string()).or_insert_with(|| Some(path.clone()));
                if entry.as_ref() != Some(path) {
                    *entry = None;
                }
            }
        }
        for path in paths {
            by_name.insert(path.clone(), Some(path.clone()));
        }
        Self { by_name }
    }

    /// The path of the image called `name`; `Err` when several are.
    pub(super) fn find(&self, name: &str) -> Result<Option<&str>, String> {
        let file = file_name(name);
        for key in [name, file, stem(file)] {
            match self.by_name.get(key) {
                Some(Some(path)) => return Ok(Some(path)),
                Some(None) => return Err(format!("several images are named {key}: the table must give their paths")),
                None => {}
            }
        }
        Ok(None)
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Without the extension, if there is one; a dot may also be part of the name.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 4 && !extension.contains(' ') => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_path_name_and_stem() {
        let paths = ["a/x.png", "b/x.jpg", "b/y%1.tar.png", "c/z"].map(String::from);
        let names = Names::new(paths.iter());
        assert_eq!(names.find("b/x.jpg"), Ok(Some("b/x.jpg")));
        assert_eq!(names.find("x.jpg"), Ok(Some("b/x.jpg")));
        assert!(names.find("x").unwrap_err().contains("several"));
        assert_eq!(names.find("y%1.tar.jpg"), Ok(Some("b/y%1.tar.png")));
        assert_eq!(names.find("elsewhere/z"), Ok(Some("c/z")));
        assert_eq!(names.find("w"), Ok(None));
    }
}
