//! Tiny behaviors, all on one cown.

use bocage_benches::{Case, Contended};

mod suite;

fn main() {
    suite::measure(|case| case == Contended::NAME, false);
}
