//! Behavior-oriented concurrency for Python.
