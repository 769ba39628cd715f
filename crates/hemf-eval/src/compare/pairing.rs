//! The same images, in the same order, of every run; or what differs.

use std::collections::BTreeMap;

use hemf_metrics::Predictions;
use hemf_train::Error;

use crate::Evaluation;

/// Predictions of the same images.
pub(super) struct Paired {
    pub(super) predictions: Vec<Predictions>,
    pub(super) groups: Option<Vec<String>>,
    pub(super) notes: Vec<String>,
}

/// Names told of each kind of difference.
const TOLD: usize = 3;

/// Brings the images of every run into the order of the first. Refuses runs of different images, or with `common` leaves
/// out those that some lack.
pub(super) fn pair<'a>(
    names: &[String],
    evaluations: impl Iterator<Item = &'a Evaluation>,
    common: bool,
) -> Result<Paired, Error> {
    let evaluations: Vec<&Evaluation> = evaluations.collect();
    let places: Vec<BTreeMap<&str, usize>> =
        evaluations.iter().map(|evaluation| places(&evaluation.predictions)).collect();
    let mut notes = Vec::new();
    for ((name, evaluation), here) in names.iter().zip(&evaluations).zip(&places).skip(1) {
        let what = differs(&names[0], evaluations[0], &places[0], evaluation, here);
        let refuse = |what: String| Err(Error::Checkpoint { path: name.into(), what });
        match what {
            Some(Differs::Always(what)) => return refuse(what),
            Some(Differs::Images(what)) if !common => {
                return refuse(format!("{what}; --common compares on the images that all have"));
            }
            Some(Differs::Images(what)) => notes.push(format!("{name} {what}")),
            None => {}
        }
        if evaluation.facts.manifest_seal != evaluations[0].facts.manifest_seal {
            notes.push(format!(
                "{name} was measured by another manifest than {}: only names and classes agree",
                names[0]
            ));
        }
    }
    let kept: Vec<&str> = evaluations.first().map_or_else(Vec::new, |first| {
        let ids = first.predictions.ids().iter().map(String::as_str);
        ids.filter(|id| places.iter().all(|places| places.contains_key(id))).collect()
    });
    if kept.is_empty() && !names.is_empty() {
        return Err(Error::Checkpoint {
            path: names[0].clone().into(),
            what: "has no image that all others have".to_owned(),
        });
    }
    let rows = |places: &BTreeMap<&str, usize>| kept.iter().map(|id| places[id]).collect::<Vec<usize>>();
    let predictions =
        evaluations.iter().zip(&places).map(|(evaluation, here)| evaluation.predictions.select(&rows(here)));
    let predictions = predictions.collect::<Result<_, _>>()?;
    let groups = evaluations.iter().zip(&places).find_map(|(evaluation, here)| {
        let groups = evaluation.samples.groups.as_ref()?;
        Some(rows(here).into_iter().map(|row| groups[row].clone()).collect())
    });
    Ok(Paired { predictions, groups, notes })
}

fn places(predictions: &Predictions) -> BTreeMap<&str, usize> {
    predictions.ids().iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect()
}

enum Differs {
    /// What no choice of images mends.
    Always(String),
    /// Images that one of the two lacks.
    Images(String),
}

fn differs(
    first_name: &str,
    first: &Evaluation,
    there: &BTreeMap<&str, usize>,
    second: &Evaluation,
    here: &BTreeMap<&str, usize>,
) -> Option<Differs> {
    let (a, b) = (&first.predictions, &second.predictions);
    if a.classes() != b.classes() {
        let what =
            format!("knows the classes {}, {first_name} knows {}", b.classes().join(", "), a.classes().join(", "));
        return Some(Differs::Always(what));
    }
    let other_class =
        here.iter().find(|(id, place)| there.get(*id).is_some_and(|&p| a.truth()[p] != b.truth()[**place]));
    if let Some((id, &place)) = other_class {
        let class = |predictions: &Predictions, place: usize| predictions.classes()[predictions.truth()[place]].clone();
        let what = format!("has {id} as {}, {first_name} as {}", class(b, place), class(a, there[id]));
        return Some(Differs::Always(what));
    }
    let lacking = |these: &BTreeMap<&str, usize>, those: &BTreeMap<&str, usize>| -> Vec<String> {
        those.keys().filter(|id| !these.contains_key(*id)).map(|id| (*id).to_owned()).collect()
    };
    let (lacks, adds) = (lacking(here, there), lacking(there, here));
    let told = |ids: &[String]| {
        let rest = if ids.len() > TOLD { ", ..." } else { "" };
        format!("{} ({}{rest})", ids.len(), ids[..ids.len().min(TOLD)].join(", "))
    };
    match (lacks.is_empty(), adds.is_empty()) {
        (true, true) => None,
        (false, true) => Some(Differs::Images(format!("lacks {} of {first_name}'s images", told(&lacks)))),
        (true, false) => Some(Differs::Images(format!("has {} images that {first_name} lacks", told(&adds)))),
        (false, false) => Some(Differs::Images(format!(
            "lacks {} of {first_name}'s images and has {} that {first_name} lacks",
            told(&lacks),
            told(&adds)
        ))),
    }
}
