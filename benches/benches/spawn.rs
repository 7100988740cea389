//! Tiny behaviors, each on a fresh cown.

mod suite;

fn main() {
    suite::measure::<bocage_benches::Spawn>();
}
