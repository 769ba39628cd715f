//! `hemf import`: weights of the published code as a checkpoint.

use std::path::PathBuf;

use clap::Args;
use hemf_train::{RunConfig, quoted};

use super::print;
use crate::{
    args::Set,
    exit::{Exit, Failure},
};

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The weights: a .safetensors, .pth or .pt file of the published code, or exported by it
    weights: PathBuf,

    /// The checkpoint folder to make
    out: PathBuf,

    /// Names of the classes in the order of the network's output, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',', required = true)]
    classes: Vec<String>,

    /// Configuration with the network (`model`) and its preprocessing [default: HEMF as published]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    set: Set,
}

pub(super) fn run(args: Import, program: &str) -> Result<Exit, Failure> {
    if let Some(name) = args.classes.iter().enumerate().find(|(i, name)| args.classes[..*i].contains(name)) {
        return Err(Failure::usage(format!(
            "--classes: {:?} is named twice; each class has a name of its own",
            name.1
        )));
    }
    let over = args.set.layers()?;
    let config = match &args.config {
        Some(file) => RunConfig::load(file, &over)?,
        None => RunConfig::from_layers(&over)?,
    };
    let note = hemf_train::import(&args.weights, &args.out, config, args.classes)?;
    eprintln!("{note}");
    print(&format!("{}\n", args.out.display()))?;
    eprintln!("next: {program} eval {} --data PATH", quoted(&args.out));
    Ok(Exit::Ok)
}
