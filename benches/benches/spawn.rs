//! Tiny behaviors, each on a fresh cown.

use bocage_benches::{Case, Spawn};

mod suite;

fn main() {
    suite::measure(|case| case == Spawn::NAME, false);
}
