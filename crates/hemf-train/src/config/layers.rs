//! Configuration files before they have types: layers of YAML mappings, laid one over the other.
//!
//! A file may name another with `base: other.yaml` (relative to itself), which is laid under it; `--set
//! key.path=value` lies over everything. Every layer remembers where it came from, so that an error can
//! name the file that holds the key.

use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};

use super::{ConfigError, built_in, typed::nearest};
use crate::quoted;

/// How many `base:` steps are followed before a circle is suspected.
const LONGEST_BASE_CHAIN: usize = 16;

/// One mapping and the file or flag it was read from.
#[derive(Clone, Debug)]
pub struct Layer {
    source: String,
    tree: Mapping,
}

impl Layer {
    /// Reads `text` as the YAML of a file called `source`; `base:` is not followed.
    pub fn parse(source: &str, text: &str) -> Result<Self, ConfigError> {
        let value: Value = serde_yaml::from_str(text)
            .map_err(|error| ConfigError::new(source, "", format!("not valid YAML: {error}")))?;
        let tree = match value {
            Value::Mapping(tree) => tree,
            Value::Null => Mapping::new(),
            _ => {
                let wrong = "a configuration is a mapping of keys, such as `train:`";
                return Err(ConfigError::new(source, "", wrong));
            }
        };
        Ok(Self { source: source.to_owned(), tree })
    }

    /// The file at `path` over the chain of files that its `base:` names, lowest first. What is not there as a file may be a
    /// configuration of `configs/`: the file that is there, or the one that is built in.
    pub fn read_chain(path: &Path) -> Result<Vec<Self>, ConfigError> {
        let mut chain: Vec<Self> = Vec::new();
        let mut next = Some((path.to_path_buf(), path.to_path_buf()));
        while let Some((mut path, named)) = next {
            if chain.len() == LONGEST_BASE_CHAIN {
                let circle = "the chain of base files is too long; does it run in a circle?";
                return Err(ConfigError::new(&path.display().to_string(), "base", circle));
            }
            if !path.is_file()
                && let Some((file, _)) = built_in::find(&path).or_else(|| built_in::find(&named))
            {
                if !Path::new(&file).is_file() {
                    chain.reverse();
                    return Ok([Self::built_in(&file)?, chain].concat());
                }
                path = file.into();
            }
            let text = std::fs::read_to_string(&path).map_err(|error| {
                let why = unreadable(&path, &error);
                match chain.last() {
                    None => ConfigError::new(&path.display().to_string(), "", why),
                    Some(above) => ConfigError::new(&above.source, "base", format!("{}: {why}", path.display())),
                }
            })?;
            let mut layer = Self::parse(&path.display().to_string(), &text)?;
            next = layer.take_base(&path)?;
            chain.push(layer);
        }
        chain.reverse();
        Ok(chain)
    }

    /// The built-in configuration of this name, such as `covid19-ct`, over its base.
    ///
    /// # Errors
    /// There is none of this name.
    pub(crate) fn built_in(name: &str) -> Result<Vec<Self>, ConfigError> {
        let mut chain = Vec::new();
        let mut next = Some(PathBuf::from(name));
        while let Some(path) = next {
            let (file, text) = built_in::find(&path)
                .ok_or_else(|| ConfigError::new(name, "", "no configuration of this name is built in"))?;
            let mut layer = Self::parse(&format!("{file} (built in)"), text)?;
            next = layer.take_base(file.as_ref())?.map(|(path, _)| path);
            chain.push(layer);
        }
        chain.reverse();
        Ok(chain)
    }

    /// The file that `base:` of the file at `path` stands for, and its name as it is written there.
    fn take_base(&mut self, path: &Path) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
        match self.tree.shift_remove("base") {
            None => Ok(None),
            Some(Value::String(base)) => Ok(Some((path.with_file_name("").join(&base), base.into()))),
            Some(_) => {
                let wrong = "expected the path of another configuration file";
                Err(ConfigError::new(&self.source, "base", wrong))
            }
        }
    }

    /// A layer of one value: `path` is `key.key`, `value` is read as YAML.
    pub fn set(source: &str, path: &str, value: &str) -> Result<Self, ConfigError> {
        let leaf: Value = serde_yaml::from_str(value)
            .map_err(|error| ConfigError::new(source, path, format!("not valid YAML: {error}")))?;
        let keys: Vec<&str> = path.split('.').collect();
        Ok(Self { source: source.to_owned(), tree: nest(&keys, leaf) })
    }

    /// A layer of one path, kept as it is.
    pub fn path(source: &str, key: &str, value: &Path) -> Self {
        let keys: Vec<&str> = key.split('.').collect();
        let leaf = Value::String(value.to_string_lossy().into_owned());
        Self { source: format!("{source} {}", value.display()), tree: nest(&keys, leaf) }
    }

    /// The layer of one `--set key.path=value` argument.
    pub fn from_argument(argument: &str) -> Result<Self, ConfigError> {
        let source = format!("--set {argument}");
        let (path, value) = argument
            .split_once('=')
            .ok_or_else(|| ConfigError::new(&source, "", "expected key.path=value, such as train.epochs=10"))?;
        Self::set(&source, path, value)
    }

    /// The file or flag that it was read from.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The preset that it names.
    pub(super) fn preset(&self) -> Option<&str> {
        self.tree.get("model")?.get("preset")?.as_str()
    }

    /// The value that it has at `path`.
    pub(crate) fn value(&self, path: &[String]) -> Option<&Value> {
        let (last, above) = path.split_last()?;
        let place = above.iter().try_fold(&self.tree, |here, key| here.get(key.as_str())?.as_mapping())?;
        place.get(last.as_str())
    }

    fn holds(&self, path: &[String]) -> bool {
        self.value(path).is_some()
    }
}

/// Why the file at `path` is no configuration, and what may have been meant.
fn unreadable(path: &Path, error: &std::io::Error) -> String {
    if path.is_dir() {
        let run = path.join("config.yaml");
        return match run.is_file() {
            true => format!("is a folder, and a configuration is a file; did you mean {}?", run.display()),
            false => {
                format!("is a folder, and a configuration is a file; for a folder of images: --data {}", quoted(path))
            }
        };
    }
    let folders = [path.parent().unwrap_or(path), "configs".as_ref()];
    let entries = folders.iter().filter_map(|folder| {
        let read = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        Some(read.read_dir().ok()?.flatten().map(|entry| folder.join(entry.file_name())))
    });
    let files = entries.flatten().filter(|file| file.extension().is_some_and(|end| end == "yaml" || end == "yml"));
    // By the name without its end: whether it is .yaml or .yml is no difference.
    let stem = |file: &Path| file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut named: Vec<(String, PathBuf)> = files.map(|file| (stem(&file), file)).collect();
    named.extend(built_in::names().map(|name| (name.to_owned(), format!("configs/{name}.yaml").into())));
    named.sort();
    let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    let whole = path.with_extension("").to_string_lossy().into_owned();
    let meant = nearest(&stem(path), &names).or_else(|| nearest(&whole, &names));
    let hint = match meant.and_then(|name| named.iter().find(|(other, _)| other == name)) {
        Some((_, file)) => format!("did you mean {}?", file.display()),
        None => format!("built in are {}", built_in::names().collect::<Vec<_>>().join(", ")),
    };
    format!("cannot read: {error}; {hint}")
}

/// The source of the topmost layer that holds `path`, or of the topmost that holds the longest part of it.
pub(super) fn origin<'a>(layers: &'a [Layer], path: &[String]) -> Option<&'a str> {
    (1..=path.len()).rev().find_map(|length| {
        let part = &path[..length];
        let holder = layers.iter().rev().find(|layer| layer.holds(part));
        holder.map(|layer| layer.source.as_str())
    })
}

/// What of `defaults` has to be there before anything is laid over it: the default variant of everything that
/// has a `kind`, so that a layer may change one key of it without naming it. All other defaults are the types'
/// own, since one key's default may follow from another key.
pub(super) fn variants(defaults: &Mapping) -> Mapping {
    let mut kept = Mapping::new();
    for (key, value) in defaults {
        let Value::Mapping(inner) = value else {
            continue;
        };
        let inner = match inner.contains_key("kind") {
            true => inner.clone(),
            false => variants(inner),
        };
        if !inner.is_empty() {
            kept.insert(key.clone(), Value::Mapping(inner));
        }
    }
    kept
}

/// Lays all `layers` over `bottom`, later over earlier.
///
/// `preset` turns the name in a `model.preset` key into the model that the name stands for; it replaces the
/// model below, and the layer's other model keys are laid over it.
pub(super) fn merge_all(
    bottom: Mapping,
    layers: &[Layer],
    preset: impl Fn(&Value) -> Result<Mapping, String>,
) -> Result<Mapping, ConfigError> {
    let mut merged = bottom;
    for layer in layers {
        let mut tree = layer.tree.clone();
        if let Some(Value::Mapping(model)) = tree.get_mut("model")
            && let Some(name) = model.shift_remove("preset")
        {
            let model = preset(&name).map_err(|allowed| ConfigError::new(&layer.source, "model.preset", allowed))?;
            merged.insert("model".into(), Value::Mapping(model));
        }
        merge(&mut merged, tree);
    }
    Ok(merged)
}

/// Lays `over` on `under`: mappings are merged key by key, anything else replaces. A mapping whose `kind`
/// differs replaces too, since its other keys belong to another variant.
fn merge(under: &mut Mapping, over: Mapping) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Mapping(below)), Value::Mapping(above)) if same_kind(below, &above) => {
                merge(below, above);
            }
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

fn same_kind(below: &Mapping, above: &Mapping) -> bool {
    above.get("kind").is_none_or(|kind| below.get("kind") == Some(kind))
}

/// The mapping that holds `leaf` alone, at `keys`.
pub(super) fn nest<K: AsRef<str>>(keys: &[K], leaf: Value) -> Mapping {
    let mut value = leaf;
    for key in keys[1..].iter().rev() {
        let mut outer = Mapping::new();
        outer.insert(key.as_ref().into(), value);
        value = Value::Mapping(outer);
    }
    let mut tree = Mapping::new();
    tree.insert(keys[0].as_ref().into(), value);
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(layers: &[&str]) -> Mapping {
        let layers: Vec<_> = layers.iter().map(|text| Layer::parse("test", text).unwrap()).collect();
        merge_all(Mapping::new(), &layers, |_| Ok(nest(&["kind"], "preset".into()))).unwrap()
    }

    fn yaml(text: &str) -> Mapping {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn mappings_merge_and_everything_else_replaces() {
        let got = merged(&["a: {b: 1, c: [1, 2]}\nd: x", "a: {c: [3]}"]);
        assert_eq!(got, yaml("a: {b: 1, c: [3]}\nd: x"));
    }

    #[test]
    fn another_kind_replaces_the_whole_mapping() {
        let got = merged(&["o: {kind: adamw, betas: 1}", "o: {kind: sgd, momentum: 2}"]);
        assert_eq!(got, yaml("o: {kind: sgd, momentum: 2}"));
        let got = merged(&["o: {kind: adamw, betas: 1}", "o: {kind: adamw, lr: 2}"]);
        assert_eq!(got, yaml("o: {kind: adamw, betas: 1, lr: 2}"));
    }

    #[test]
    fn a_preset_replaces_the_model_below_and_lies_under_its_own_layer() {
        let got = merged(&["model: {kind: old, x: 1}", "model: {y: 2, preset: p}"]);
        assert_eq!(got, yaml("model: {kind: preset, y: 2}"));
    }

    #[test]
    fn variants_alone_are_kept_of_the_defaults() {
        let got = variants(&yaml("a: {b: 1, c: {kind: y, d: 2}}\ne: {f: 3}"));
        assert_eq!(got, yaml("a: {c: {kind: y, d: 2}}"));
    }

    #[test]
    fn base_files_are_relative_to_the_file_that_names_them_and_circles_end() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("a.yaml"), "x: 1\ny: 1").unwrap();
        let b = dir.path().join("sub/b.yaml");
        std::fs::write(&b, "base: ../a.yaml\ny: 2").unwrap();
        let chain = Layer::read_chain(&b).unwrap();
        let got = merge_all(Mapping::new(), &chain, |_| unreachable!()).unwrap();
        assert_eq!(got, yaml("x: 1\ny: 2"));
        assert!(origin(&chain, &["x".into()]).unwrap().ends_with("a.yaml"));

        std::fs::write(dir.path().join("a.yaml"), "base: sub/b.yaml").unwrap();
        let error = Layer::read_chain(&b).unwrap_err().to_string();
        assert!(error.contains("circle"), "{error}");
    }
}
