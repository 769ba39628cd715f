//! The run that needs no configuration file.

use crate::{Error, Event, Layer, Observer, RunConfig, counted};

/// The configuration of a run for which none is named, with `over` on top: the quick start, whose images are made if they
/// are not there; or, where `over` names other images, the small network for one's own.
///
/// # Errors
/// A value that is not allowed, or a disk that does not take the pictures.
pub fn quickstart(over: &[Layer], observer: &mut dyn Observer) -> Result<RunConfig, Error> {
    let with = |name| {
        let mut layers = Layer::built_in(name)?;
        layers.extend_from_slice(over);
        RunConfig::from_layers(&layers)
    };
    let own = RunConfig::from_layers(&Layer::built_in("quickstart")?)?.data.path;
    let config = with("quickstart")?;
    if let Some(path) = &config.data.path
        && config.data.path == own
    {
        let note = format!("quick start on generated pictures, in {}", path.display());
        observer.event(&Event::Note(&note));
        hemf_data::quickstart::ensure(path, &Default::default())?;
        return Ok(config);
    }
    let config = with("nano")?;
    let (side, epochs) = (config.data.preprocessing.size, counted(config.train.epochs, "epoch"));
    let note =
        format!("no configuration is named, so configs/nano.yaml is taken: images of {side}x{side} pixels, {epochs}");
    observer.event(&Event::Note(&note));
    Ok(config)
}
