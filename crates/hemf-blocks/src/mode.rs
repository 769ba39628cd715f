/// How a forward pass runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch norm by its running statistics, no path dropped.
    Eval,
    /// Batch norm by the batch, whose statistics go into the running averages; paths dropped by draws that depend on the
    /// seed, the block and the sample's place in the batch alone. A training loop hands out a new seed each step.
    Train {
        /// Where the draws of this pass start.
        seed: u64,
    },
}
