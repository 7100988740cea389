//! A dense FP64 matrix whose buffer moves by pointer.
