//! A work-stealing runtime for behaviors.
