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
    let maps: Vec<&str> = evaluation.errors[0].heat.iter().map(|(name, _)| name.as_str()).collect();
    section.paragraphs.push(format!(
        "Grad-CAM: what the wrong answer rests on, brighter where more: {}, named by branch and stage. The last one is \
         what decides. Late maps are coarse, a few cells across. A picture without colour has no place \
         that speaks for the answer. A heat map shows where the network looked, not why.",
        maps.join(", ")
    ));
    let rows: Vec<&[f64]> = predictions.rows().collect();
    let predicted = predictions.predicted();
    for error in &evaluation.errors {
        let (truth, said) = (predictions.truth()[error.sample], predicted[error.sample]);
        let heat = error.heat.iter();
        section.errors.push(ErrorCard {
            id: predictions.ids()[error.sample].clone(),
            truth: predictions.classes()[truth].clone(),
            said: predictions.classes()[said].clone(),
            probability: format!("{:.3}", rows[error.sample][said]),
            picture: data_url("image/png", &error.picture),
            heat: heat.map(|(name, png)| (name.clone(), data_url("image/png", png))).collect(),
        });
    }
    section
}
