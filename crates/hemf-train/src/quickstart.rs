//! The run that needs no configuration file.

use crate::{Error, Event, Layer, Observer, RunConfig, counted};

/// The configuration of a run for which none is named, with `over` on top: the quick start, whose images are made if they
/// are not there; or, where `over` names other images, the small network for one's own.
///
/// # Errors
/// A value that is not allowed, or a disk that does not take the pictures.
pub fn quickstart(over: &[Layer], observer: &mut dyn Observer) -> Result<RunConfig, Error> {
    let path = ["data".to_owned(), "path".to_owned()];
    let named = over.iter().rev().find_map(|layer| layer.value(&path));
    let own = Layer::built_in("quickstart")?;
    let is_own = named.is_none_or(|named| own.iter().any(|layer| layer.value(&path) == Some(named)));
    let with = |under: Vec<Layer>| RunConfig::from_layers(&[under, over.to_vec()].concat());
    if is_own {
        let config = with(own)?;
        let path = config.data.path.clone().unwrap_or_default();
        let note = format!("quick start on generated pictures, in {}", path.display());
        observer.event(&Event::Note(&note));
        hemf_data::quickstart::ensure(&path, &Default::default())?;
        return Ok(config);
    }
    let config = with(Layer::built_in("nano")?)?;
    let (side, epochs) = (config.data.preprocessing.size, counted(config.train.epochs, "epoch"));
    let note =
        format!("no configuration is named, so the built-in nano is taken: images of {side}x{side} pixels, {epochs}");
    observer.event(&Event::Note(&note));
    Ok(config)
}
