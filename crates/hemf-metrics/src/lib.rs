//! hemf-metrics
