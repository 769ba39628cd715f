//! hemf-model
