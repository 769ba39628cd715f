//! JSON as a table.

use std::collections::BTreeMap;

use serde_json::Value;

/// The values in `value` that are no mappings, by path: keys joined by dots.
pub(crate) fn flat(value: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    flatten("", value, &mut found);
    found
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, into);
            }
        }
        _ => drop(into.insert(path.to_owned(), value.clone())),
    }
}
