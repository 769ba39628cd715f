//! `hemf audit`: what is wrong with a data set.

use std::path::PathBuf;

use clap::Args;
use hemf_train::Severity;

use super::{print, reading::Reading};
use crate::{
    exit::{Exit, Failure},
    output::AUDIT,
};

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// A manifest, a folder with a manifest.csv, or any folder of images, with a subfolder per class; it is only read
    path: PathBuf,

    /// Also write the report as one HTML file with small pictures
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    #[command(flatten)]
    reading: Reading,

    /// Print the report as JSON, with every file that is concerned
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Audit) -> Result<Exit, Failure> {
    if let Some(file) = &args.html {
        AUDIT.check("--html", file)?;
    }
    let audit = hemf_train::Audit::run(&args.path, &args.reading.settings())?;
    if let Some(file) = &args.html {
        std::fs::write(file, audit.to_html())
            .map_err(|source| hemf_train::Error::Write { path: file.clone(), source })?;
        eprintln!("report with pictures: {}", file.display());
    }
    print(&if args.json { audit.to_json() + "\n" } else { audit.to_text() })?;
    Ok(match audit.severity() {
        Some(Severity::Error) => Exit::Integrity,
        Some(Severity::Warning) => Exit::Warned,
        Some(Severity::Note) | None => Exit::Ok,
    })
}
