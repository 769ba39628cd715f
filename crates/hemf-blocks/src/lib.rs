//! hemf-blocks
