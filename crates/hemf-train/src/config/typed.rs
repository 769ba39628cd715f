//! From a merged mapping to a type, with errors that name the key and what is allowed there.
//!
//! serde knows the wrong key or value but not always where it stands (the content of tagged enums is
//! buffered), and knows no files. Since every key has a default, the place can be found by trial: the first
//! key that does not deserialise when it stands alone.

use serde::de::DeserializeOwned;
use serde_yaml::{Mapping, Value};

use super::{
    ConfigError,
    layers::{Layer, nest, origin},
};

/// Deserialises `tree`, which `layers` were merged into. `keys` are the paths of all keys that there are.
pub(super) fn typed<T: DeserializeOwned>(
    tree: Mapping,
    layers: &[Layer],
    keys: impl FnOnce() -> Vec<String>,
) -> Result<T, ConfigError> {
    let parse = |tree: Mapping| serde_yaml::from_value::<T>(Value::Mapping(tree));
    parse(tree.clone()).map_err(|error| {
        let fails = |tree: Mapping| parse(tree).err();
        let (mut path, found) = culprit(&tree, &[], &fails);
        let variants = mapping_at(&tree, &path).is_some();
        let message = explain(&found.unwrap_or(error).to_string(), &mut path, variants, &keys());
        let source = origin(layers, &path).unwrap_or("configuration");
        ConfigError::new(source, &path.join("."), message)
    })
}

type Failure = Option<serde_yaml::Error>;

/// The path of the first key below `at` that does not deserialise alone, with its error.
fn culprit(root: &Mapping, at: &[String], fails: &dyn Fn(Mapping) -> Failure) -> (Vec<String>, Failure) {
    let Some(here) = mapping_at(root, at) else {
        return (at.to_vec(), None);
    };
    for (key, value) in here {
        let mut path = at.to_vec();
        path.push(key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned));
        let alone = |value: &Value| fails(with_kinds(root, &path, value.clone()));
        let Some(error) = alone(value) else { continue };
        let Value::Mapping(inner) = value else {
            return (path, Some(error));
        };
        // An empty mapping (but for its kind) that fails is no place to look into.
        let mut shell = Mapping::new();
        if let Some(kind) = inner.get("kind") {
            shell.insert("kind".into(), kind.clone());
        }
        if let Some(error) = alone(&Value::Mapping(shell)) {
            return (path, Some(error));
        }
        let (deeper, found) = culprit(root, &path, fails);
        return (deeper, found.or(Some(error)));
    }
    (at.to_vec(), None)
}

fn mapping_at<'a>(root: &'a Mapping, path: &[String]) -> Option<&'a Mapping> {
    path.iter().try_fold(root, |here, key| here.get(key.as_str())?.as_mapping())
}

/// `leaf` alone at `path`, with the `kind` of every mapping on the way, which chooses what is allowed there.
fn with_kinds(root: &Mapping, path: &[String], leaf: Value) -> Mapping {
    let mut tree = nest(path, leaf);
    for depth in 1..path.len() {
        let kind = mapping_at(root, &path[..depth]).and_then(|here| here.get("kind"));
        let place = path[..depth].iter().try_fold(&mut tree, |here, key| here.get_mut(key.as_str())?.as_mapping_mut());
        if let (Some(kind), Some(place)) = (kind, place)
            && !place.contains_key("kind")
        {
            place.insert("kind".into(), kind.clone());
        }
    }
    tree
}

/// Says serde's message in the words of a configuration file; completes `path`, which is a mapping with a `kind` or not,
/// where serde names the key.
fn explain(message: &str, path: &mut Vec<String>, mapping: bool, keys: &[String]) -> String {
    // "unknown field `x`, expected one of `a`, `b`", "unknown variant `x`, expected `a`"
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let (true, [wrong, allowed @ ..]) = (message.contains("unknown field `"), &quoted[..]) {
        if path.last().map(String::as_str) != Some(wrong) {
            path.push((*wrong).to_owned());
        }
        return unknown_key(path, allowed, keys);
    }
    if let (true, [wrong, allowed @ ..]) = (message.contains("unknown variant `"), &quoted[..]) {
        if mapping {
            path.push("kind".to_owned());
        }
        return unknown(&format!("value {wrong:?}"), wrong, allowed);
    }
    let mut said = message.to_owned();
    // serde_yaml repeats the path before the message of a leaf.
    if let Some((before, after)) = message.split_once(": ")
        && before == path.join(".")
    {
        said = after.to_owned();
    }
    if let Some((start, _)) = said.split_once(", expected struct ").or(said.split_once(", expected internally tagged "))
    {
        let below = format!("{}.", path.join("."));
        let inner = keys.iter().filter_map(|key| key.strip_prefix(&below)).filter(|key| !key.contains('.'));
        return format!("{start}, expected keys of its own: {}", inner.collect::<Vec<_>>().join(", "));
    }
    for (rust, plain) in [
        ("usize", "a whole number from 0"),
        ("u64", "a whole number from 0"),
        ("u32", "a whole number from 0"),
        ("f64", "a number"),
        ("f32", "a number"),
        ("path string", "a path"),
        ("a boolean", "true or false"),
    ] {
        if let Some(start) = said.strip_suffix(rust) {
            said = format!("{start}{plain}");
            break;
        }
    }
    said
}

/// What others call keys of ours.
const ELSEWHERE: [(&str, &str); 7] = [
    ("batch_size", "batch"),
    ("image_size", "size"),
    ("learning_rate", "lr"),
    ("num_classes", "classes"),
    ("num_workers", "workers"),
    ("pretrained", "init"),
    ("scheduler", "schedule"),
];

/// A key that is not allowed where it stands: the places of the same name, or else the nearest of `allowed`.
fn unknown_key(path: &[String], allowed: &[&str], keys: &[String]) -> String {
    let Some((wrong, above)) = path.split_last() else { return unknown("key", "", allowed) };
    let full = path.join(".");
    if keys.contains(&full) {
        return format!("a key of another kind. Allowed: {}", allowed.join(", "));
    }
    let name = ELSEWHERE.iter().find(|(theirs, _)| theirs == wrong).map_or(wrong.as_str(), |(_, ours)| *ours);
    let named = |key: &&String| key.rsplit('.').next() == Some(name);
    let below = |key: &&String| above.is_empty() || key.starts_with(&format!("{}.", above.join(".")));
    let mut places: Vec<&str> = keys.iter().filter(named).filter(below).map(String::as_str).collect();
    if places.is_empty() {
        places = keys.iter().filter(named).map(String::as_str).collect();
    }
    match places.len() {
        1..=3 => format!("unknown key; did you mean {}? Allowed here: {}", places.join(" or "), allowed.join(", ")),
        _ => unknown("key", wrong, allowed),
    }
}

/// A word that is none of `allowed`, with the nearest of them.
pub(super) fn unknown(what: &str, wrong: &str, allowed: &[&str]) -> String {
    let list = allowed.join(", ");
    match nearest(wrong, allowed) {
        Some(near) => format!("unknown {what}; did you mean \"{near}\"? Allowed: {list}"),
        None => format!("unknown {what}. Allowed: {list}"),
    }
}

/// The word of `known` with the fewest single-letter edits from `word`, when they are few enough to be a slip.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let best = known.iter().min_by_key(|other| edits(word, other))?;
    (edits(word, best) <= 1 + word.chars().count() / 3).then_some(best)
}

/// Levenshtein distance, row by row.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Serialize, Deserialize, Default)]
    #[serde(default, deny_unknown_fields)]
    struct Root {
        model: Kinds,
        train: Inner,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
    enum Kinds {
        Wide(Inner),
        Bare {},
    }

    impl Default for Kinds {
        fn default() -> Self {
            Self::Bare {}
        }
    }

    #[derive(Debug, Serialize, Deserialize, Default)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        epochs: usize,
        widths: [usize; 2],
        rate: f64,
        best: Word,
    }

    #[derive(Debug, Serialize, Deserialize, Default)]
    #[serde(rename_all = "kebab-case")]
    enum Word {
        #[default]
        Accuracy,
        MacroAuc,
    }

    fn message(text: &str) -> String {
        let layer = Layer::parse("run.yaml", text).unwrap();
        let tree = serde_yaml::from_str(text).unwrap();
        let keys = ["model", "model.kind", "model.gates", "train", "train.epochs", "train.optimizer.lr"];
        typed::<Root>(tree, &[layer], || keys.map(str::to_owned).to_vec()).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_file_key_and_what_is_allowed() {
        let cases = [
            (
                "train: {epocs: 1}",
                "run.yaml: train.epocs: unknown key; did you mean \"epochs\"? Allowed: epochs, widths, rate, best",
            ),
            ("modle: {}", "run.yaml: modle: unknown key; did you mean \"model\"? Allowed: model, train"),
            (
                "model: {kind: wide, epocs: 1}",
                "run.yaml: model.epocs: unknown key; did you mean \"epochs\"? Allowed: epochs, widths, rate, best",
            ),
            ("model: {kind: bare, x: 1}", "run.yaml: model.x: unknown key. Allowed: "),
            (
                "model: {kind: wid}",
                "run.yaml: model.kind: unknown value \"wid\"; did you mean \"wide\"? Allowed: wide, bare",
            ),
            (
                "train: {best: macro-au}",
                "run.yaml: train.best: unknown value \"macro-au\"; did you mean \"macro-auc\"? Allowed: accuracy, macro-auc",
            ),
            ("lr: 1", "run.yaml: lr: unknown key; did you mean train.optimizer.lr? Allowed here: model, train"),
            (
                "train: {learning_rate: 1}",
                "run.yaml: train.learning_rate: unknown key; did you mean train.optimizer.lr? Allowed here: epochs, \
                 widths, rate, best",
            ),
            ("model: {kind: bare, gates: 1}", "run.yaml: model.gates: a key of another kind. Allowed: "),
            ("train: 3", "run.yaml: train: invalid type: integer `3`, expected keys of its own: epochs"),
            (
                "train: {epochs: -1}",
                "run.yaml: train.epochs: invalid value: integer `-1`, expected a whole number from 0",
            ),
            (
                "model: {kind: wide, rate: fast}",
                "run.yaml: model.rate: invalid type: string \"fast\", expected a number",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(message(text), expected, "for {text}");
        }
        assert!(message("train: {widths: [1, 2, 3]}").starts_with("run.yaml: train.widths: "));
    }

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        assert_eq!(nearest("wieght_decay", &["lr", "weight_decay"]), Some("weight_decay"));
        assert_eq!(nearest("momentum", &["lr", "eps"]), None);
    }
}
