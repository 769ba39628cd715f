//! Exported files, read back here and in the programs that they are for.

mod evaluate;
mod networks;
mod reader;
mod runtimes;
