//! Parity: every block and network against what the published PyTorch code computes.
//!
//! A folder of goldens holds, for each case, weights, inputs, outputs, gradients and a tolerance for each tensor, all
//! made by the published code. [`run`] builds the block or network of each case from the weights, compares everything
//! that was stored, and returns a [`Certificate`]: the largest error of each case, forward and gradient, and the verdict.
//!
//! A value passes when |a - b| <= atol + rtol |b|. The goldens' tolerances are twenty times the distance between the
//! published code in f32 and in f64.
//!
//! [`diagnose`] is the same for a machine: every operation on a device, against the composed form in f64.
//!
//! ```no_run
//! let certificate = hemf_parity::run("goldens".as_ref())?;
//! println!("{certificate}");
//! assert!(certificate.passed());
//! # Ok::<(), hemf_parity::Error>(())
//! ```

mod blocks;
mod came;
mod certificate;
mod doctor;
mod fill;
mod full;
mod goldens;
mod network;
mod small;

pub use certificate::{Case, Certificate, Errors, Kinks};
pub use doctor::{Check, Diagnosis, Fact, diagnose, processor};
pub use fill::{fill, fill_image};
pub use goldens::Error;

use std::path::Path;

/// Runs every case that the manifests of `blocks/` and `model/` name in a folder of goldens.
///
/// Fails on a folder without cases and on files that cannot be read; a value beyond its tolerance is no failure of the
/// run, but in the certificate.
pub fn run(folder: &Path) -> Result<Certificate, Error> {
    let mut cases = blocks::run(folder)?;
    cases.extend(small::run(folder)?);
    cases.extend(full::run(folder)?);
    cases.extend(came::run(folder)?);
    if cases.is_empty() {
        return Err(Error::Empty(folder.to_owned()));
    }
    Ok(Certificate { cases })
}
