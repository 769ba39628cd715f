//! hemf-train
