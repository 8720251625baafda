//! Building our own tiny test kernels.
