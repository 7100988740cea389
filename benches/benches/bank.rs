//! Tiny transfers between two of 1000 cowns.

use bocage_benches::{Bank, Case};

mod suite;

fn main() {
    suite::measure(|case| case == Bank::NAME, false);
}
