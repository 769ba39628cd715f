//! `hemf reproduce`: from a folder of images to a row of the paper's tables.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hemf_train::{Network, Order, Target};

use super::{print, stop_on_ctrl_c};
use crate::{
    exit::{Exit, Failure},
    progress::Progress,
};

#[derive(Debug, Args)]
pub(crate) struct Reproduce {
    /// The table to reproduce, after the network if it is not HEMF's row, such as `covid19-ct` or `came kvasir`
    #[arg(value_enum, num_args = 1..=2, required = true)]
    what: Vec<Word>,

    /// The images as they are distributed: a folder with a subfolder per class (or see --labels); it is only read
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// The ground-truth table of ISIC2018, if the images are not in class folders
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// A table that tells which images are of one patient or lesion, such as HAM10000_metadata.csv
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,

    /// The same path on few images with a small network, in minutes on a CPU
    #[arg(long)]
    quick: bool,

    /// Folder in which the reproduction's own folder is made, or found and gone on with
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,

    /// Print the table as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Word {
    /// The network of the paper
    Hemf,
    /// The baseline
    Came,
    /// ISIC2018 task 3
    Isic2018,
    /// Kvasir v1, two folds
    Kvasir,
    /// COVID19-CT
    Covid19Ct,
    /// The settings S1 to S7 on ISIC2018
    Ablation,
}

impl Reproduce {
    fn order(self) -> Result<Order, Failure> {
        let (mut network, mut target) = (None, None);
        for word in &self.what {
            match word {
                Word::Hemf => network = Some(Network::Hemf),
                Word::Came => network = Some(Network::Came),
                Word::Isic2018 => target = Some(Target::Isic2018),
                Word::Kvasir => target = Some(Target::Kvasir),
                Word::Covid19Ct => target = Some(Target::Covid19Ct),
                Word::Ablation => target = Some(Target::Ablation),
            }
        }
        let (Some(target), true) = (target, self.what.len() == 1 || network.is_some()) else {
            return Err(Failure::usage("name one table, after the network if you like, such as `came kvasir`"));
        };
        if let (Some(Network::Came), Target::Ablation) = (network, target) {
            return Err(Failure::usage("the ablation is of HEMF"));
        }
        let network = network.unwrap_or(Network::Hemf);
        let Self { data, labels, metadata, out, quick, .. } = self;
        Ok(Order { network, target, data, labels, metadata, out, quick })
    }
}

pub(super) fn run(args: Reproduce) -> Result<Exit, Failure> {
    let json = args.json;
    let order = args.order()?;
    let mut progress = Progress::new();
    let stop = stop_on_ctrl_c()?;
    let result = hemf_train::reproduce(&order, &mut progress, &stop);
    progress.finish();
    let Some(result) = result? else {
        eprintln!("stopped and saved; the same command goes on");
        return Ok(Exit::Interrupted);
    };
    print(&if json { result.to_json() } else { result.to_text() })?;
    eprintln!("table, runs and reports: {}", result.folder.display());
    Ok(Exit::Ok)
}
