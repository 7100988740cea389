//! What the criterion suites share.
