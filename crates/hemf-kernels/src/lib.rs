//! hemf-kernels
