//! 64 tokens around a ring of 1024 cowns.

mod suite;

fn main() {
    suite::measure::<bocage_benches::Ring>();
}
