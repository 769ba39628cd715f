//! Measuring: images through the networks.

use std::path::{Path, PathBuf};

use hemf_data::{Manifest, Raster, Sample, Split, counted};
use hemf_metrics::Predictions;
use hemf_metrics::decision::Temperature;
use hemf_model::Branch;
use hemf_train::{Card, Checkpoint, Error, EvalSet, Event, Observer, Silent};
use rayon::prelude::*;

use super::{
    Audit, ErrorPictures, EvalSettings, Evaluation, Facts, FittedTemperature, NetworkFacts, Samples, confident_errors,
    files,
};
use crate::network::StoredTemperature;
use crate::predictor::name_of;
use crate::{InputStatistics, Measures, Network, Predictor, explain, heat, png};

/// At most so many training images are measured for [`InputStatistics`].
const MOST_MEASURED: usize = 2000;
/// Side of the pictures of errors, in pixels.
const THUMBNAIL: usize = 192;

/// Measures the networks of `predictor` on the images of `split`: those of the first network's data set, or of `data`
/// ([`EvalSet::open`]). For a single network looking once, fits a temperature on the validation images of its training and
/// measures its training images; both are kept in the checkpoint.
///
/// # Errors
/// Images that are not there or cannot be read, columns that do not exist, a checkpoint that cannot be written.
pub fn measure(
    predictor: &mut Predictor,
    data: Option<&Path>,
    split: Split,
    allow_changed: bool,
    settings: EvalSettings,
    observer: &mut dyn Observer,
) -> Result<Evaluation, Error> {
    let first = predictor.first();
    let (checkpoint, card) = (first.checkpoint().clone(), first.card().clone());
    let set = EvalSet::open(&checkpoint, &card, data, split, allow_changed, observer)?;
    let samples = Samples::new(&set.manifest, &set.samples);
    check_columns(&samples, &settings.subgroups)?;
    settings.check(set.manifest.classes().len())?;
    let predictions = score(predictor, &set.manifest, &set.samples, observer)?;

    let mut no_validation = None;
    let validation = match split {
        Split::Validation => None,
        _ => match validation_set(&checkpoint, &card, data, allow_changed) {
            Ok(validation) => {
                Some((score(predictor, &validation.manifest, &validation.samples, observer)?, validation))
            }
            Err(reason) => {
                let note = format!("no thresholds and no temperature, for want of validation images: {reason}");
                observer.event(&Event::Note(&note));
                no_validation = Some(reason);
                None
            }
        },
    };
    let mut no_temperature = None;
    if let Some((predictions, set)) = &validation {
        no_temperature = keep(predictor, predictions, set)?.err();
    }
    // Stored by this evaluation or by an earlier one: in either case what the predict command uses.
    let temperature = predictor.temperature().map(|temperature| {
        let validation = validation.as_ref().map(|(predictions, _)| predictions);
        let loss = |predictions: &Predictions| predictions.log_loss().or_zero();
        FittedTemperature {
            temperature,
            validation_loss_before: validation.map(loss),
            validation_loss_after: validation.map(|predictions| loss(&temperature.apply(predictions))),
        }
    });
    // What was trained on, for images of another manifest too.
    let own = match set.trained_on {
        true => None,
        false => EvalSet::open(&checkpoint, &card, None, Split::Train, allow_changed, &mut Silent).ok(),
    };
    let own = own.filter(|own| own.trained_on);
    let trained = if set.trained_on { Some(&set.manifest) } else { own.as_ref().map(|own| &own.manifest) };
    let errors = picture_errors(predictor.first(), &set, &predictions, settings.errors, observer)?;
    let name = if set.whole_folder { "all".to_owned() } else { split.to_string() };
    let facts = Facts {
        program: card.program.clone(),
        networks: predictor.networks().iter().map(network_facts).collect::<Result<_, _>>()?,
        views: predictor.views(),
        averaging: predictor.averaging(),
        split: name,
        data: set.manifest.root().file_name().unwrap_or_default().to_string_lossy().into_owned(),
        manifest_seal: set.manifest.seal().to_owned(),
        rule: set.manifest.rule().to_owned(),
        split_seed: set.manifest.seed(),
        no_validation,
        no_temperature: no_temperature.filter(|_| temperature.is_none()).map(str::to_owned),
        temperature,
        settings,
        audit: Audit::new(&set.manifest, (!set.whole_folder).then_some(split), trained),
    };
    let validation = validation.map(|(predictions, _)| predictions);
    let epochs = checkpoint.run().map_or_else(Vec::new, |run| files::epochs(run.path()));
    Ok(Evaluation { facts, predictions, validation, samples, errors, epochs })
}

/// Keeps in the checkpoint what its validation and training images tell: the temperature, or the reason why there is
/// none, and what images are like. Images of another data set change nothing in it.
fn keep(
    predictor: &mut Predictor,
    predictions: &Predictions,
    set: &EvalSet,
) -> Result<Result<(), &'static str>, Error> {
    if !predictor.is_plain() {
        return Ok(Err("answers of several networks or views are averaged, and a temperature is for one"));
    }
    let network = predictor.first_mut();
    if !set.trained_on {
        // Only a network that came without a data set has others than its own here.
        return Ok(Err("the network came without its data set, and whether it learned from these validation images \
                       cannot be told"));
    }
    keep_inputs(network, &set.manifest)?;
    let fit = Temperature::fit(predictions);
    if fit.at_limit {
        return Ok(Err("the best one lies beyond what is searched: confidence and errors are not related here"));
    }
    let (images, manifest_seal) = (predictions.len(), set.manifest.seal().to_owned());
    network.keep_temperature(StoredTemperature { temperature: fit.temperature, images, manifest_seal })?;
    Ok(Ok(()))
}

/// The validation images of the training, in their own place or where `data` has them now; for a network that came without a
/// data set, those of `data`. Or why there are none: above all, images split anew may be images that were trained on.
fn validation_set(
    checkpoint: &Checkpoint,
    card: &Card,
    data: Option<&Path>,
    allow_changed: bool,
) -> Result<EvalSet, String> {
    let open = |data| {
        EvalSet::open(checkpoint, card, data, Split::Validation, allow_changed, &mut Silent).map_err(|e| e.to_string())
    };
    let came_without = card.manifest_seal.is_empty();
    // Of a folder without a manifest all images would be taken: the measured ones too.
    let of_data = data.and_then(|data| open(Some(data)).ok()).filter(|set| !set.whole_folder);
    if let Some(set) = of_data.as_ref().filter(|set| set.trained_on) {
        return Ok(set.clone());
    }
    match open(None) {
        Ok(set) if !set.trained_on && !came_without => Err(
            "the validation images are no longer those of the training (the seals differ), and the network may have \
                 learned from them"
                .to_owned(),
        ),
        Err(error) if came_without => of_data.ok_or(error),
        result => result,
    }
}

fn check_columns(samples: &Samples, named: &[String]) -> Result<(), Error> {
    let unknown = named.iter().find(|name| samples.columns.iter().all(|(column, _)| &column != name));
    let Some(unknown) = unknown else { return Ok(()) };
    let columns: Vec<&str> = samples.columns.iter().map(|(name, _)| name.as_str()).collect();
    let allowed = if columns.is_empty() { "it has none beyond its own".to_owned() } else { columns.join(", ") };
    let what = format!("the manifest has no column \"{unknown}\" for subgroups ({allowed})");
    Err(Error::Checkpoint { path: PathBuf::from("--subgroups"), what })
}

/// Probabilities of every sample.
fn score(
    predictor: &Predictor,
    manifest: &Manifest,
    samples: &[Sample],
    observer: &mut dyn Observer,
) -> Result<Predictions, Error> {
    let mut rows = Vec::with_capacity(samples.len() * manifest.classes().len());
    let mut done = 0;
    for batch in samples.chunks(predictor.batch()) {
        let pictures: Vec<Raster> =
            batch.par_iter().map(|sample| predictor.read(&sample.path)).collect::<Result<_, _>>()?;
        rows.extend(predictor.probabilities(&pictures)?.into_iter().flatten());
        done += batch.len();
        observer.event(&Event::Scored { done, total: samples.len() });
    }
    let ids = samples.iter().map(|sample| manifest.rows()[sample.row].path.clone()).collect();
    let truth = samples.iter().map(|sample| sample.class).collect();
    Ok(Predictions::new(manifest.classes().to_vec(), ids, truth, rows)?)
}

/// Measures training images, evenly spread where there are many, and keeps what they are like in the checkpoint.
fn keep_inputs(network: &mut Network, manifest: &Manifest) -> Result<(), Error> {
    let samples = manifest.samples(Split::Train);
    let step = samples.len().div_ceil(MOST_MEASURED).max(1);
    let reading = &network.preprocessing().reading;
    let chosen: Vec<&Sample> = samples.iter().step_by(step).collect();
    let measure = |sample: &&Sample| Ok(Measures::new(&reading.decode(&sample.path)?));
    // Read in parallel, and the first failure in the order of the images told.
    let measures: Vec<Result<Measures, hemf_data::Error>> = chosen.par_iter().map(measure).collect();
    let measures: Vec<Measures> = measures.into_iter().collect::<Result<_, _>>()?;
    match InputStatistics::new(&measures) {
        Some(statistics) => network.keep_inputs(statistics),
        None => Ok(()),
    }
}

/// The most confident errors, with what the last maps of the branches and each stage of the fusion rested on.
fn picture_errors(
    network: &Network,
    set: &EvalSet,
    predictions: &Predictions,
    count: usize,
    observer: &mut dyn Observer,
) -> Result<Vec<ErrorPictures>, Error> {
    let errors: Vec<usize> = confident_errors(predictions).into_iter().take(count).collect();
    if !errors.is_empty() {
        let what = counted(errors.len(), "most confident error");
        observer.event(&Event::Note(&format!("explaining {what}")));
    }
    let predicted = predictions.predicted();
    let last = if errors.is_empty() { None } else { explain::spots(network)?.iter().map(|spot| spot.stage).max() };
    // Each stage of the fusion, and the last map of every other branch.
    let wanted = |spot: explain::Spot| spot.branch == Branch::Fusion || Some(spot.stage) == last;
    let picture = |&sample: &usize| {
        let picture = network.preprocessing().reading.decode(&set.samples[sample].path)?;
        let seen = heat::seen(&picture, network.preprocessing(), THUMBNAIL);
        let maps = explain::grad_cam(network, &picture, predicted[sample], wanted)?;
        let heat = maps.into_iter().map(|(spot, map)| Ok((spot.name(), png::png(&map.over(&seen))?)));
        Ok(ErrorPictures { sample, picture: png::png(&seen)?, heat: heat.collect::<Result<_, Error>>()? })
    };
    errors.iter().map(picture).collect()
}

fn network_facts(network: &Network) -> Result<NetworkFacts, Error> {
    let Card { program, config, epoch, validation_accuracy, manifest_seal, .. } = network.card().clone();
    let unreadable = |error: serde_json::Error| Error::Checkpoint {
        path: network.checkpoint().path().to_owned(),
        what: format!("its configuration cannot be shown: {error}"),
    };
    let mut config = serde_json::to_value(&config).map_err(unreadable)?;
    // Where things lay on one machine is no part of what was measured: the seal names the images.
    for (section, key) in [("data", "path"), ("output", "folder")] {
        if let Some(section) = config.get_mut(section).and_then(serde_json::Value::as_object_mut) {
            section.remove(key);
        }
    }
    Ok(NetworkFacts {
        run: name_of(network),
        config,
        program,
        epoch,
        validation_accuracy,
        weights: network.digest().to_owned(),
        manifest_seal,
        parameters: network.parameters(),
        begun: network.checkpoint().run().and_then(|run| run.begun()),
    })
}
