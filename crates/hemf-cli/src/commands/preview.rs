//! `hemf preview`: a sheet of what the network will see.

use std::path::PathBuf;

use clap::Args;
use hemf_train::{Layer, RunConfig, preview};

use super::print;
use crate::{
    args::Set,
    exit::{Exit, Failure},
    output::SHEET,
    progress::Progress,
};

#[derive(Debug, Args)]
pub(crate) struct Preview {
    /// Configuration: a file, or a built-in one such as isic2018
    config: PathBuf,

    /// The images: a manifest written by `prepare`, or a folder with a subfolder per class
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,

    #[command(flatten)]
    set: Set,

    /// How many images, a row each
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    images: u16,

    /// How often each is drawn anew, a column each
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=32))]
    epochs: u16,

    /// Where to write the picture, a .png file
    #[arg(long, value_name = "FILE", default_value = "preview.png")]
    out: PathBuf,
}

pub(super) fn run(args: Preview) -> Result<Exit, Failure> {
    SHEET.check("--out", &args.out)?;
    let mut layers = args.set.layers()?;
    if let Some(path) = &args.data {
        layers.push(Layer::path("--data", "data.path", path));
    }
    let config = RunConfig::load(&args.config, &layers)?;
    if args.out.exists() {
        eprintln!("note: {} is replaced", args.out.display());
    }
    let rows = preview(&config, args.images.into(), args.epochs.into(), &args.out, &mut Progress::new())?;
    let columns = format!("columns: as evaluation sees it, then as epochs 1 to {} will", args.epochs);
    let rows = rows.iter().enumerate().map(|(i, row)| format!("row {}: {row}\n", i + 1)).collect::<String>();
    print(&format!("{}\n{columns}\n{rows}", args.out.display()))?;
    Ok(Exit::Ok)
}
