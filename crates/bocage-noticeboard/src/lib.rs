//! Ambient state in 64 keys, read as immutable snapshots.
