//! `hemf doctor`: whether this machine computes right.

use clap::Args;
use hemf_train::DeviceChoice;

use super::print;
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Decides the sizes and values that the operations are tried with
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,

    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Doctor, choice: DeviceChoice) -> Result<Exit, Failure> {
    let opened = match choice.open() {
        Ok(opened) => opened,
        Err(why) => {
            let facts = hemf_parity::processor();
            facts.iter().for_each(|fact| eprintln!("{:<18} {}", fact.name, fact.value));
            return Err(Failure::no_device(why));
        }
    };
    if let Some(note) = opened.note {
        eprintln!("{note}");
    }
    let diagnosis = hemf_parity::diagnose(&opened.device, args.seed)
        .map_err(|error| Failure::unexpected(format!("the composed forms fail in f64: {error}")))?;
    let text = match args.json {
        true => {
            serde_json::to_string_pretty(&diagnosis).map_err(|error| Failure::unexpected(error.to_string()))? + "\n"
        }
        false => diagnosis.to_string(),
    };
    if !diagnosis.passed() {
        // A card in error refuses that its libraries' handles are given back, which the bindings take for a panic.
        let _ = std::mem::ManuallyDrop::new(opened.device);
    }
    print(&text)?;
    Ok(if diagnosis.passed() { Exit::Ok } else { Exit::Integrity })
}
