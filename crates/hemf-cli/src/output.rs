//! Files that commands write where they are told to: never in place of what somebody else made.

use std::{fs::File, io::Read, path::Path};

use crate::exit::Failure;

/// A kind of file that a command writes.
pub(crate) struct Output {
    /// What it is called in messages.
    what: &'static str,
    /// Its extensions.
    extensions: &'static [&'static str],
    /// What stands in the first bytes of every such file of this program, and of no other.
    mark: &'static str,
}

/// The list of images that `prepare` writes.
pub(crate) const LIST: Output = Output { what: "list of images", extensions: &["csv"], mark: "# hemf manifest" };

/// The page that `audit` writes.
pub(crate) const AUDIT: Output =
    Output { what: "page of an audit", extensions: &["html", "htm"], mark: "<title>Audit of " };

/// The sheet that `preview` draws; its mark is the file's `Software`.
pub(crate) const SHEET: Output = Output { what: "sheet of a preview", extensions: &["png"], mark: "hemf preview" };

/// The mark is looked for in so many bytes.
const BEGINNING: u64 = 512;

impl Output {
    /// Refuses a path, given by `flag`, that ends in the name of another kind of file, or where something lies that this
    /// program did not make. An earlier file of the same kind may be replaced.
    pub(crate) fn check(&self, flag: &str, path: &Path) -> Result<(), Failure> {
        let Self { what, extensions, .. } = self;
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let shown = path.display();
        if !extensions.iter().any(|known| known.eq_ignore_ascii_case(extension)) {
            let ends = extensions.join(" or .");
            return Err(Failure::usage(format!("{flag} {shown}: a {what} is written to a file that ends in .{ends}")));
        }
        if path.exists() && !self.is_own(path) {
            return Err(Failure::input(format!(
                "{shown}: is there already and no {what} of this program, so it is not replaced; name another file with {flag}"
            )));
        }
        Ok(())
    }

    /// Whether an earlier run of this program has written the file. An empty one is nobody's.
    fn is_own(&self, path: &Path) -> bool {
        let mut begin = Vec::new();
        let read = File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut begin));
        let marked = || begin.windows(self.mark.len()).any(|bytes| bytes == self.mark.as_bytes());
        path.is_file() && read.is_ok() && (begin.is_empty() || marked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_somebody_else_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("own.HTM"), "<!doctype html><title>Audit of data</title>").unwrap();
        std::fs::write(path("empty.html"), "").unwrap();
        std::fs::write(path("other.html"), "<!doctype html><title>Mine</title>").unwrap();
        std::fs::create_dir(path("folder.html")).unwrap();
        for name in ["new.html", "own.HTM", "empty.html"] {
            assert!(AUDIT.check("--html", &path(name)).is_ok(), "{name}");
        }
        for name in ["other.html", "folder.html"] {
            let error = AUDIT.check("--html", &path(name)).unwrap_err();
            assert_eq!(error.exit(), crate::Exit::Input);
            assert!(error.to_string().contains("name another file with --html"), "{error}");
        }
        for name in ["new.csv", "new"] {
            let error = AUDIT.check("--html", &path(name)).unwrap_err();
            assert_eq!(error.exit(), crate::Exit::Usage);
            assert!(error.to_string().contains("ends in .html or .htm"), "{error}");
        }
    }
}
