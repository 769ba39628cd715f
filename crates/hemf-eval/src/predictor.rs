//! From pictures to probabilities: one network or several, one view or several.

use std::path::{Path, PathBuf};

use hemf_data::Raster;
use hemf_metrics::{decision::Temperature, softmax};
use hemf_train::{ConfigError, Error, Precision, device};
use serde::{Deserialize, Serialize};

use crate::{Network, View, Views};

/// What is averaged over networks and views.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Averaging {
    /// Probabilities: a view that is sure weighs as much as one that is not.
    #[default]
    Probability,
    /// Logits: the geometric mean of the probabilities; a view that is very sure outweighs the others.
    Logit,
}

/// Networks that know the same classes, asked together.
pub struct Predictor {
    networks: Vec<Network>,
    views: Views,
    averaging: Averaging,
}

impl Predictor {
    /// Loads one network or several.
    ///
    /// # Errors
    /// A checkpoint that does not load, or networks that know other classes than the first or read files otherwise.
    pub fn load(paths: &[PathBuf], views: Views, averaging: Averaging) -> Result<Self, Error> {
        let networks: Vec<Network> = paths.iter().map(|path| Network::load(path)).collect::<Result<_, _>>()?;
        let Some(first) = networks.first() else {
            return Err(Error::Checkpoint { path: PathBuf::new(), what: "no run is named".to_owned() });
        };
        for network in &networks {
            if network.classes() != first.classes() {
                let (others, these) = (first.classes().join(", "), network.classes().join(", "));
                let what =
                    format!("knows the classes {these}; it cannot be asked together with one that knows {others}");
                return Err(Error::Checkpoint { path: network.checkpoint().path().to_owned(), what });
            }
            if network.preprocessing().reading != first.preprocessing().reading {
                let what = "reads files in another way (data.preprocessing.reading) than the network that it is asked \
                            together with"
                    .to_owned();
                return Err(Error::Checkpoint { path: network.checkpoint().path().to_owned(), what });
            }
        }
        Ok(Self { networks, views, averaging })
    }

    /// Computes probabilities in another precision than f32.
    ///
    /// # Errors
    /// One that the device has not, or no room for the weights in it.
    pub fn compute_in(mut self, precision: Precision) -> Result<Self, Error> {
        precision.prepare(device()).map_err(|what| ConfigError {
            source_name: "--precision".to_owned(),
            key: String::new(),
            message: what,
        })?;
        self.networks.iter_mut().try_for_each(|network| network.compute_in(precision))?;
        Ok(self)
    }

    /// The networks, at least one.
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// The first network: its checkpoint says which images belong to the run.
    pub fn first(&self) -> &Network {
        &self.networks[0]
    }

    pub(crate) fn first_mut(&mut self) -> &mut Network {
        &mut self.networks[0]
    }

    /// Class names.
    pub fn classes(&self) -> &[String] {
        self.first().classes()
    }

    /// Which views are averaged.
    pub fn views(&self) -> Views {
        self.views
    }

    /// What is averaged.
    pub fn averaging(&self) -> Averaging {
        self.averaging
    }

    /// Whether probabilities are those of a single network's single view, which is what a stored temperature is for.
    pub fn is_plain(&self) -> bool {
        self.networks.len() == 1 && self.views == Views::One
    }

    /// The temperature of the checkpoint, where there is one and it is meant for these probabilities.
    pub fn temperature(&self) -> Option<Temperature> {
        let stored = self.first().temperature()?;
        self.is_plain().then_some(stored.temperature)
    }

    /// Reads and decodes an image file as in training: turned, windowed or shrunk, where the configuration says so.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(&self, path: &Path) -> Result<Raster, hemf_data::Error> {
        self.first().preprocessing().reading.decode(path)
    }

    /// Probabilities of each picture, one per class, before any temperature.
    ///
    /// # Errors
    /// An operation on tensors that fails, which is a bug.
    pub fn probabilities(&self, pictures: &[Raster]) -> Result<Vec<Vec<f64>>, Error> {
        if pictures.is_empty() {
            return Ok(Vec::new());
        }
        let mut sums = vec![vec![0.0; self.classes().len()]; pictures.len()];
        let views: Vec<View> = self.views.list();
        for network in &self.networks {
            for &view in &views {
                for (sums, logits) in sums.iter_mut().zip(network.logits(pictures, view)?) {
                    let logits: Vec<f64> = logits.into_iter().map(f64::from).collect();
                    let values = match self.averaging {
                        Averaging::Probability => softmax(&logits),
                        Averaging::Logit => logits,
                    };
                    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                }
            }
        }
        let count = (self.networks.len() * views.len()) as f64;
        Ok(sums
            .into_iter()
            .map(|sums| {
                let means: Vec<f64> = sums.into_iter().map(|sum| sum / count).collect();
                match self.averaging {
                    Averaging::Probability => means,
                    Averaging::Logit => softmax(&means),
                }
            })
            .collect())
    }

    /// As many pictures at once as in training.
    pub fn batch(&self) -> usize {
        self.first().card().config.train.batch.max(1)
    }
}

/// The name of a run or checkpoint for a reader: the run folder's, else the path as given.
pub(crate) fn name_of(network: &Network) -> String {
    let checkpoint = network.checkpoint();
    let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    let run = checkpoint.run().and_then(|run| name(&run.path().canonicalize().ok()?));
    run.or_else(|| name(checkpoint.path())).unwrap_or_else(|| checkpoint.path().display().to_string())
}
