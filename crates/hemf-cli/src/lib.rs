//! hemf-cli
