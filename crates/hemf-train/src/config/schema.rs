//! The JSON schema of a configuration file, for editors.

use hemf_model::ModelConfig;
use serde_json::{Value, json};

use super::RunConfig;

impl RunConfig {
    /// The JSON schema of a configuration file. Every key may be left out; `base` and `model.preset`, which are resolved
    /// before the configuration has a type, are part of it.
    pub fn schema() -> Value {
        let mut schema = schemars::schema_for!(RunConfig).to_value();
        optional_kinds(&mut schema);
        schema["title"] = "hemf configuration".into();
        schema["properties"]["base"] = json!({
            "description": "Another configuration file, laid under this one; relative to it.",
            "type": "string",
        });
        let preset = json!({
            "description": "A named network; other keys of `model` are laid over it.",
            "enum": ModelConfig::PRESETS,
        });
        // A preset has a kind of its own, so that none need be named beside it.
        if let Some(variants) = schema["$defs"]["ModelConfig"]["anyOf"].as_array_mut() {
            for variant in variants.iter_mut() {
                variant["properties"]["preset"] = preset.clone();
            }
        }
        schema
    }
}

/// The paths of all keys that `schema` knows, such as `train.optimizer.lr`, each once.
pub(super) fn keys(schema: &Value) -> Vec<String> {
    fn collect(schema: &Value, at: &Value, above: &str, into: &mut Vec<String>) {
        if let Some(name) = at["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            collect(schema, &schema["$defs"][name], above, into);
        }
        let variants = ["anyOf", "oneOf"].iter().filter_map(|list| at[*list].as_array()).flatten();
        variants.for_each(|variant| collect(schema, variant, above, into));
        for (key, value) in at["properties"].as_object().into_iter().flatten() {
            let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
            collect(schema, value, &path, into);
            if !into.contains(&path) {
                into.push(path);
            }
        }
    }
    let mut all = Vec::new();
    collect(schema, schema, "", &mut all);
    all
}

/// Where a mapping has a `kind`, that of the layer below goes on when none is named: no kind is required, and a mapping
/// without one may be of any.
fn optional_kinds(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("properties").is_some_and(|properties| properties.get("kind").is_some()) {
                map.remove("required");
            }
            let kinds = |variant: &Value| variant["properties"]["kind"].is_object();
            if map.get("oneOf").and_then(Value::as_array).is_some_and(|variants| variants.iter().all(kinds))
                && let Some(variants) = map.remove("oneOf")
            {
                map.insert("anyOf".to_owned(), variants);
            }
            map.values_mut().for_each(optional_kinds);
        }
        Value::Array(list) => list.iter_mut().for_each(optional_kinds),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `key` is a property anywhere in `schema`.
    fn knows(schema: &Value, key: &str) -> bool {
        match schema {
            Value::Object(map) => {
                map.get("properties").is_some_and(|all| all.get(key).is_some()) || map.values().any(|v| knows(v, key))
            }
            Value::Array(list) => list.iter().any(|value| knows(value, key)),
            _ => false,
        }
    }

    fn keys(value: &Value, into: &mut Vec<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            into.push(key.clone());
            keys(value, into);
        }
    }

    #[test]
    fn every_key_of_a_configuration_is_in_its_schema() {
        let schema = RunConfig::schema();
        let mut all = vec!["base".to_owned(), "preset".to_owned(), "gamma".to_owned(), "patience".to_owned()];
        keys(&serde_json::to_value(RunConfig::default()).unwrap(), &mut all);
        assert!(all.len() > 50);
        for key in all {
            assert!(knows(&schema, &key), "{key}");
        }
        assert!(!knows(&schema, "epocs"));
        let paths = super::keys(&schema);
        for path in ["base", "model.preset", "model.window", "train.optimizer.lr", "train.loss.gamma"] {
            assert_eq!(paths.iter().filter(|other| *other == path).count(), 1, "{path}");
        }
        assert_eq!(schema["additionalProperties"], false);
    }
}
