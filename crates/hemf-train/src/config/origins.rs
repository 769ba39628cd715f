//! The resolved configuration with where each value came from.

use std::fmt::Write;

use serde_yaml::{Mapping, Value};

use super::{ConfigError, Layer, RunConfig, as_mapping};

/// The column that origins begin in, where the values leave room.
const COLUMN: usize = 44;

impl RunConfig {
    /// The configuration that `layers` make over the defaults, as YAML; behind each value stands, as a comment, the file
    /// or flag that it was read from.
    ///
    /// # Errors
    /// As [`RunConfig::from_layers`].
    pub fn annotated(layers: &[Layer]) -> Result<String, ConfigError> {
        let config = Self::from_layers(layers)?;
        let mut text = String::new();
        lines(&as_mapping(&config), &mut Vec::new(), layers, &mut text);
        Ok(text)
    }
}

fn lines(tree: &Mapping, path: &mut Vec<String>, layers: &[Layer], text: &mut String) {
    for (key, value) in tree {
        let key = key.as_str().unwrap_or_default();
        let indent = "  ".repeat(path.len());
        path.push(key.to_owned());
        match value {
            Value::Mapping(inner) if !inner.is_empty() => {
                let _ = writeln!(text, "{indent}{key}:");
                lines(inner, path, layers, text);
            }
            value => {
                let line = format!("{indent}{key}: {}", in_line(value));
                let _ = writeln!(text, "{line:<COLUMN$} # {}", origin(path, layers));
            }
        }
        path.pop();
    }
}

/// A value on one line, as YAML reads it.
fn in_line(value: &Value) -> String {
    match value {
        // JSON's lists and mappings are YAML's too.
        Value::Sequence(_) | Value::Mapping(_) => serde_json::to_string(value).unwrap_or_default(),
        value => serde_yaml::to_string(value).unwrap_or_default().trim_end().to_owned(),
    }
}

/// The topmost layer that holds the value at `path`; of a model also the layer that names the preset it comes with.
fn origin(path: &[String], layers: &[Layer]) -> String {
    let of_model = path.first().is_some_and(|key| key == "model");
    for (place, layer) in layers.iter().enumerate().rev() {
        if layer.value(path).is_some() {
            return layer.source().to_owned();
        }
        if of_model && let Some(name) = layer.preset() {
            return format!("preset {name}, {}", layer.source());
        }
        if changes_kind(path, layers, place) {
            break; // what lies below belongs to another variant
        }
    }
    "default".to_owned()
}

/// Whether the layer at `place` names another kind than those below it for a mapping on the way to `path`.
fn changes_kind(path: &[String], layers: &[Layer], place: usize) -> bool {
    (1..path.len()).any(|length| {
        let kind = [&path[..length], &["kind".to_owned()]].concat();
        let below = layers[..place].iter().rev().find_map(|layer| layer.value(&kind));
        layers[place].value(&kind).is_some_and(|kind| below.is_some_and(|below| below != kind))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_tells_where_it_came_from() {
        let layers = [
            Layer::parse("base.yaml", "model: {preset: hemf-nano}\ntrain: {epochs: 3, optimizer: {lr: 0.1}}").unwrap(),
            Layer::parse("mine.yaml", "model: {heads: 8}\ntrain: {epochs: 5, loss: {kind: focal}}").unwrap(),
            Layer::from_argument("train.optimizer.betas=[0.8, 0.9]").unwrap(),
        ];
        let text = RunConfig::annotated(&layers).unwrap();
        let told = |key: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{key}:")));
            let line = line.unwrap_or_else(|| panic!("no {key} in {text}"));
            let (value, origin) = line.split_once(" # ").unwrap();
            (value.trim().to_owned(), origin.to_owned())
        };
        for (key, value, origin) in [
            ("heads", "heads: 8", "mine.yaml"),
            ("slots", "slots: 16", "preset hemf-nano, base.yaml"),
            ("epochs", "epochs: 5", "mine.yaml"),
            ("lr", "lr: 0.1", "base.yaml"),
            ("betas", "betas: [0.8,0.9]", "--set train.optimizer.betas=[0.8, 0.9]"),
            ("gamma", "gamma: 2.0", "default"),
            ("batch", "batch: 32", "default"),
        ] {
            assert_eq!(told(key), (value.to_owned(), origin.to_owned()));
        }
        // Another kind leaves nothing of the one before.
        let kinds = [
            Layer::parse("a.yaml", "train: {optimizer: {kind: adamw, lr: 0.1}}").unwrap(),
            Layer::parse("b.yaml", "train: {optimizer: {kind: sgd}}").unwrap(),
        ];
        let other = RunConfig::annotated(&kinds).unwrap();
        let lr = other.lines().find(|line| line.trim_start().starts_with("lr:")).unwrap();
        assert!(lr.contains("lr: 0.01 ") && lr.ends_with("# default"), "{lr}");
        let again = RunConfig::from_layers(&[Layer::parse("printed", &text).unwrap()]).unwrap();
        assert_eq!(again, RunConfig::from_layers(&layers).unwrap());
    }
}
