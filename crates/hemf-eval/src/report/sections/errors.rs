//! The most confident errors, with what they rest on.

use crate::Evaluation;
use crate::png::data_url;
use crate::report::page::{ErrorCard, Section};

pub(super) fn errors(evaluation: &Evaluation) -> Section {
    let mut section = Section::new("errors", "Most confident errors");
    let predictions = &evaluation.predictions;
    if evaluation.errors.is_empty() {
        section.paragraphs.push("None is pictured.".to_owned());
        return section;
    }
    section.paragraphs.push(
        "In brackets the probability that the predict command gives. Grad-CAM: what the wrong answer rests on, brighter \
         where more, by branch and stage of the network; the last picture is of what decides. Late maps are coarse, a few \
         cells across. A picture without colour has no place that speaks for the answer. A heat map shows where the \
         network looked, not why."
            .to_owned(),
    );
    let calibrated = evaluation.calibrated();
    let rows: Vec<&[f64]> = calibrated.rows().collect();
    let predicted = predictions.predicted();
    for error in &evaluation.errors {
        let (truth, said) = (predictions.truth()[error.sample], predicted[error.sample]);
        // What decides comes last: the fusion, after the branches that go into it.
        let (fusion, branches): (Vec<_>, Vec<_>) = error.heat.iter().partition(|(name, _)| name.starts_with("fusion"));
        let heat = branches.into_iter().chain(fusion);
        section.errors.push(ErrorCard {
            id: predictions.ids()[error.sample].clone(),
            truth: predictions.classes()[truth].clone(),
            said: predictions.classes()[said].clone(),
            probability: format!("{:.3}", rows[error.sample][said]),
            picture: data_url("image/png", &error.picture),
            heat: heat.map(|(name, png)| (caption(name), data_url("image/png", png))).collect(),
        });
    }
    section
}

/// `fusion, stage 4` for the map in the file `01-fusion-4.png`.
fn caption(map: &str) -> String {
    map.replacen('-', ", stage ", 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::example::evaluation;

    #[test]
    fn a_card_has_the_probability_of_predict_and_what_decides_comes_last() {
        let mut of = evaluation();
        let picture = of.errors[0].picture.clone();
        of.errors[0].heat = ["fusion-3", "local-4", "fusion-4"].map(|name| (name.to_owned(), picture.clone())).to_vec();
        let section = errors(&of);
        let card = &section.errors[0];
        let captions: Vec<&str> = card.heat.iter().map(|(caption, _)| caption.as_str()).collect();
        assert_eq!(captions, ["local, stage 4", "fusion, stage 3", "fusion, stage 4"]);
        let highest = of.calibrated().rows().next().unwrap().iter().copied().fold(0.0, f64::max);
        assert_eq!(card.probability, format!("{highest:.3}"));
        of.facts.temperature = None;
        assert_ne!(card.probability, errors(&of).errors[0].probability, "by the temperature, where there is one");
    }
}
