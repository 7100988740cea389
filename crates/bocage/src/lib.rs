//! Behavior-oriented concurrency for Rust.
