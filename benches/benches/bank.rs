//! Transfers between two of 1000 cowns.

mod suite;

fn main() {
    suite::measure::<bocage_benches::Bank>();
}
