//! Which parameters are trained, and how fast.

use candle_core::Var;

use super::init::is_head;
use crate::{ConfigError, Freeze, TrainConfig, config::Patterns, optim::Parameter};

/// The parameters of `all` that `config` trains, each with its rate.
///
/// # Errors
/// A pattern that matches nothing, or patterns that leave nothing to train.
pub(super) fn trained(config: &TrainConfig, all: Vec<(String, Var)>) -> Result<Vec<Parameter>, ConfigError> {
    let refuse = |what: String| Err(ConfigError::new("configuration", "train.freeze.patterns", what));
    if let Freeze::Matching(Patterns { patterns }) | Freeze::AllBut(Patterns { patterns }) = &config.freeze
        && let Some(idle) = patterns.iter().find(|pattern| !all.iter().any(|(name, _)| matches(pattern, name)))
    {
        let some: Vec<&str> = all.iter().step_by(all.len().div_ceil(4).max(1)).map(|(name, _)| name.as_str()).collect();
        return refuse(format!("\"{idle}\" matches no parameter; names are such as {}", some.join(", ")));
    }
    let frozen = |name: &str| match &config.freeze {
        Freeze::Nothing {} => false,
        Freeze::AllButHead {} => !is_head(name),
        Freeze::Matching(list) => list.patterns.iter().any(|pattern| matches(pattern, name)),
        Freeze::AllBut(list) => !list.patterns.iter().any(|pattern| matches(pattern, name)),
    };
    let rate = |name: &str| config.layer_decay.powi(stages_below_head(name));
    let kept = all.into_iter().filter(|(name, _)| !frozen(name));
    let parameters: Vec<Parameter> = kept.map(|(name, var)| Parameter { rate: rate(&name), name, var }).collect();
    if parameters.is_empty() {
        return refuse("nothing is left to train".to_owned());
    }
    Ok(parameters)
}

/// How many stages lie between a parameter's stage and the head: 0 for the head, 1 for the last stage, 4 for the first.
fn stages_below_head(name: &str) -> i32 {
    let mut parts = name.split('.');
    let first = parts.next().unwrap_or_default();
    let number = || parts.clone().next().and_then(|part| part.parse::<i32>().ok());
    let stage = match first {
        "patch_embed" => Some(0),
        "downsample_layers" | "downsample_layers2" | "stages" | "stages2" | "basic_layers" | "ea" => number(),
        _ => first.strip_prefix("fu").and_then(|stage| stage.parse::<i32>().ok()).map(|stage| stage - 1),
    };
    stage.map_or(0, |stage| 4 - stage)
}

/// Whether `name` is `pattern`, in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let middle: Vec<&str> = parts.collect();
    let Some((last, middle)) = middle.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use hemf_model::{ModelConfig, ParamStore};

    use super::*;

    fn names(model: &str, config: &TrainConfig) -> Result<Vec<Parameter>, ConfigError> {
        let store = ParamStore::new(0, &Device::Cpu);
        ModelConfig::preset(model).unwrap().with_classes(2).build(store.builder()).unwrap();
        trained(config, store.parameters())
    }

    fn patterns(list: &[&str]) -> Patterns {
        Patterns { patterns: list.iter().map(|&pattern| pattern.to_owned()).collect() }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("conv_head.*", "conv_head.weight", true),
            ("conv_head.*", "conv_norm.weight", false),
            ("*.bias", "fu1.W.bias", true),
            ("fu*.W.*", "fu1.W.conv.weight", true),
            ("fu*", "fu", true),
            ("stages.0", "stages.0.conv", false),
            ("a*a", "a", false),
            ("*", "anything", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_freeze_or_keep_and_must_match() {
        let all = names("hemf-nano", &TrainConfig::default()).unwrap();
        let with = |freeze| TrainConfig { freeze, ..TrainConfig::default() };
        let frozen = names("hemf-nano", &with(Freeze::Matching(patterns(&["stages.*", "fu1.*"])))).unwrap();
        let kept = names("hemf-nano", &with(Freeze::AllBut(patterns(&["stages.*", "fu1.*"])))).unwrap();
        assert_eq!(frozen.len() + kept.len(), all.len());
        assert!(kept.iter().all(|p| p.name.starts_with("stages.") || p.name.starts_with("fu1.")));
        let error = names("hemf-nano", &with(Freeze::Matching(patterns(&["stage.*"])))).unwrap_err().to_string();
        assert!(error.contains("train.freeze.patterns: \"stage.*\" matches no parameter"), "{error}");
        let error = names("hemf-nano", &with(Freeze::Matching(patterns(&["*"])))).unwrap_err().to_string();
        assert!(error.contains("nothing is left"), "{error}");
    }

    #[test]
    fn rates_fall_from_the_head_to_the_image() {
        let config = TrainConfig { layer_decay: 0.5, ..TrainConfig::default() };
        for (model, expected) in [
            (
                "hemf-nano",
                [
                    ("conv_head.", 1.0),
                    ("fu4.", 0.5),
                    ("stages.3.0.", 0.5),
                    ("stages2.1.", 0.125),
                    ("stages.0.", 0.0625),
                ],
            ),
            (
                "came-nano",
                [
                    ("conv_norm.", 1.0),
                    ("basic_layers.3.", 0.5),
                    ("ea.3.", 0.5),
                    ("fu2.", 0.125),
                    ("patch_embed.", 0.0625),
                ],
            ),
        ] {
            let parameters = names(model, &config).unwrap();
            for (prefix, rate) in expected {
                let of: Vec<_> = parameters.iter().filter(|p| p.name.starts_with(prefix)).collect();
                assert!(!of.is_empty() && of.iter().all(|p| p.rate == rate), "{model} {prefix}");
            }
        }
    }
}
