//! Tiny behaviors, all on one cown.

mod suite;

fn main() {
    suite::measure::<bocage_benches::Contended>();
}
