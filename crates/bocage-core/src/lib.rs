//! Cowns, requests and deadlock-free acquisition: the core of behavior-oriented concurrency.
