//! `hemf export`: weights for the published code.

use hemf_train::Checkpoint;

use super::print;
use crate::{
    args::Export,
    exit::{Exit, Failure},
};

pub(super) fn run(args: Export) -> Result<Exit, Failure> {
    hemf_train::export(&Checkpoint::find(&args.run)?, &args.out)?;
    print(&format!("{}\n", args.out.display()))?;
    Ok(Exit::Ok)
}
