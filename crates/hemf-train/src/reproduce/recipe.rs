//! The runs behind each row, by the configurations in `configs/`.

use std::path::Path;

use hemf_model::ModelConfig;

use super::{Network, Order, Target, published};
use crate::{Error, Layer, RunConfig, config::ConfigError};

/// What `--quick` changes beside the network: small pictures, few and strong steps.
const QUICK: &str = "
data: {preprocessing: {size: 64}, augmentation: {scale: [0.5, 1.0]}}
train: {epochs: 3, batch: 16, optimizer: {lr: 1.0e-3}}";

/// A run of a reproduction.
pub(super) struct Recipe {
    /// Which row it makes.
    pub(super) name: String,
    /// The row as published.
    pub(super) published: published::Figures,
    /// The run's name within the reproduction's folder.
    run: String,
    layers: Vec<Layer>,
}

impl Recipe {
    /// The run's settings: its own folder is made in `folder`, its images are those of `manifest`.
    pub(super) fn config(&self, folder: &Path, manifest: &Path) -> Result<RunConfig, Error> {
        let mut layers = self.layers.clone();
        layers.push(Layer::path("reproduce", "data.path", manifest));
        let mut config = RunConfig::from_layers(&layers)?;
        config.output.folder = folder.to_path_buf();
        config.output.name = self.run.clone();
        Ok(config)
    }
}

/// The data set's configuration.
pub(super) fn data_set(target: Target) -> Result<RunConfig, Error> {
    Ok(RunConfig::from_layers(&Layer::built_in(base(target))?)?)
}

/// The runs of an order, in the order of the paper's rows.
pub(super) fn recipes(order: &Order) -> Result<Vec<Recipe>, Error> {
    if order.target == Target::Ablation {
        let rows = (1..).zip(published::ABLATION);
        return rows
            .map(|(setting, published)| {
                let mut layers = Layer::built_in(&format!("ablations/s{setting}"))?;
                layers.extend(quick(order)?);
                Ok(Recipe { name: format!("S{setting}"), published, run: format!("s{setting}"), layers })
            })
            .collect();
    }
    let (name, published) = published::row(order.network, order.target);
    let mut layers = Layer::built_in(base(order.target))?;
    if order.network == Network::Came {
        layers.push(Layer::set("reproduce", "model.preset", "came")?);
    }
    layers.extend(quick(order)?);
    Ok(vec![Recipe { name: name.to_owned(), published, run: "run".to_owned(), layers }])
}

/// The name of the data set's configuration.
fn base(target: Target) -> &'static str {
    match target {
        Target::Isic2018 | Target::Ablation => "isic2018",
        Target::Kvasir => "kvasir",
        Target::Covid19Ct => "covid19-ct",
    }
}

/// The sizes of the small network, which leave alone what a setting of the ablation decides, and [`QUICK`].
fn quick(order: &Order) -> Result<Vec<Layer>, ConfigError> {
    if !order.quick {
        return Ok(vec![]);
    }
    let sizes = match (order.network, ModelConfig::preset("hemf-nano"), ModelConfig::preset("came-nano")) {
        (Network::Hemf, Some(ModelConfig::Hemf(nano)), _) => format!(
            "dims: {:?}, elf_depths: {:?}, egf_depths: {:?}, heads: {}, slots: {}",
            nano.dims, nano.elf_depths, nano.egf_depths, nano.heads, nano.slots
        ),
        (Network::Came, _, Some(ModelConfig::Came(nano))) => format!(
            "dims: {:?}, local_depths: {:?}, heads: {:?}, slots: {}",
            nano.dims, nano.local_depths, nano.heads, nano.slots
        ),
        _ => String::new(),
    };
    Ok(vec![Layer::parse("--quick", &format!("model: {{{sizes}}}"))?, Layer::parse("--quick", QUICK)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hemf_model::{Branches, Mlp};

    fn order(network: Network, target: Target, quick: bool) -> Order {
        Order { network, target, data: "data".into(), labels: None, metadata: None, out: "runs".into(), quick }
    }

    fn configs(order: &Order) -> Vec<RunConfig> {
        let made = recipes(order).unwrap();
        made.iter().map(|recipe| recipe.config("folder".as_ref(), "list.csv".as_ref()).unwrap()).collect()
    }

    #[test]
    fn runs_are_those_of_the_configurations() {
        let from_file = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs").join(name);
            RunConfig::load(&path, &[]).unwrap()
        };
        let same = |mut config: RunConfig, file: &str| {
            let expected = from_file(file);
            config.data.path = None;
            config.output = expected.output.clone();
            assert_eq!(config, expected, "{file}");
        };
        same(configs(&order(Network::Hemf, Target::Isic2018, false)).remove(0), "isic2018.yaml");
        same(configs(&order(Network::Came, Target::Kvasir, false)).remove(0), "came/kvasir.yaml");
        same(configs(&order(Network::Came, Target::Covid19Ct, false)).remove(0), "came/covid19-ct.yaml");
        for (i, config) in configs(&order(Network::Hemf, Target::Ablation, false)).into_iter().enumerate() {
            same(config, &format!("ablations/s{}.yaml", i + 1));
        }
    }

    #[test]
    fn quick_runs_are_small_and_keep_what_a_setting_decides() {
        let all = configs(&order(Network::Hemf, Target::Ablation, true));
        let parts = all.iter().map(|config| match &config.model {
            ModelConfig::Hemf(c) => (c.branches, c.mhea, c.gates, c.mlp, c.dims[0], config.train.epochs),
            other => panic!("{other:?}"),
        });
        let parts: Vec<_> = parts.collect();
        assert_eq!((parts[0].0, parts[1].0), (Branches::Local, Branches::Global));
        assert_eq!(parts[3], (Branches::Both, true, false, Mlp::Irmlp, 32, 3));
        assert_eq!(parts[6], (Branches::Both, true, true, Mlp::Sirmlp, 32, 3));
        let came = configs(&order(Network::Came, Target::Kvasir, true)).remove(0);
        assert!(matches!(came.model, ModelConfig::Came(config) if config.dims == [16, 32, 64, 128]));
    }
}
