//! The run that needs nothing: an embedded configuration on a data set generated on the spot.

use crate::{Error, Event, Layer, Observer, RunConfig};

/// The configuration, the same file that `configs/` holds.
const CONFIG: &str = include_str!("../../../configs/quickstart.yaml");

/// Reads the embedded quick-start configuration, with `over` on top, and makes its data set if it is not there.
///
/// # Errors
/// A value that is not allowed, or a disk that does not take the pictures.
pub fn quickstart(over: &[Layer], observer: &mut dyn Observer) -> Result<RunConfig, Error> {
    let mut layers = vec![Layer::parse("configs/quickstart.yaml", CONFIG)?];
    layers.extend_from_slice(over);
    let config = RunConfig::from_layers(&layers)?;
    let own = RunConfig::from_layers(&layers[..1])?;
    if let Some(path) = &config.data.path
        && config.data.path == own.data.path
    {
        let note = format!("quick start on generated pictures, in {}", path.display());
        observer.event(&Event::Note(&note));
        hemf_data::quickstart::ensure(path, &Default::default())?;
    } else {
        let side = config.data.preprocessing.size;
        let note = format!(
            "no configuration is named, so the quick start's is taken: images of {side}x{side} pixels, {} epochs; \
             configs/nano.yaml is one for your own images",
            config.train.epochs
        );
        observer.event(&Event::Note(&note));
    }
    Ok(config)
}
