//! The configurations of `configs/`, which the program brings along: an installed one has no checkout to read them from.

use std::path::{Component, Path};

macro_rules! built_in {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../../../configs/", $name, ".yaml")))),*]
    };
}

/// Names and texts.
const ALL: [(&str, &str); 16] = built_in![
    "nano" "quickstart" "covid19-ct-nano" "covid19-ct" "isic2018" "kvasir"
    "came/covid19-ct" "came/isic2018" "came/kvasir"
    "ablations/s1" "ablations/s2" "ablations/s3" "ablations/s4" "ablations/s5" "ablations/s6" "ablations/s7"
];

/// The names: `nano`, `ablations/s1`.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

/// The configuration that `path` stands for, by name or as a file of `configs/`: `nano`, `nano.yaml` and
/// `configs/nano.yaml` are one; and that file's path.
pub(super) fn find(path: &Path) -> Option<(String, &'static str)> {
    let mut parts: Vec<&str> = vec![];
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir => return None,
        }
    }
    let path = parts.join("/");
    let path = path.strip_prefix("configs/").unwrap_or(&path);
    let wanted = path.strip_suffix(".yaml").unwrap_or(path);
    let (name, text) = ALL.iter().find(|(name, _)| *name == wanted)?;
    Some((format!("configs/{name}.yaml"), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_built_in() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
        let mut folders = vec![root.clone()];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry);
                    continue;
                }
                let name = Path::new("configs").join(entry.strip_prefix(&root).unwrap());
                let text = find(&name).unwrap_or_else(|| panic!("{} is not built in", name.display())).1;
                assert_eq!(text, std::fs::read_to_string(&entry).unwrap());
                files += 1;
            }
        }
        assert_eq!(files, ALL.len());
    }

    #[test]
    fn a_name_a_file_and_a_way_round_are_one() {
        let all =
            ["came/kvasir", "came/kvasir.yaml", "configs/came/kvasir.yaml", "./configs/ablations/../came/kvasir.yaml"];
        assert!(all.iter().all(|path| find(Path::new(path)).unwrap().0 == "configs/came/kvasir.yaml"));
        for other in ["kvasir.yml", "other/kvasir.yaml", "/configs/kvasir.yaml", "../configs/kvasir.yaml", ""] {
            assert!(find(Path::new(other)).is_none(), "{other}");
        }
    }
}
