//! hemf-data
