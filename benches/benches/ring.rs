//! 64 tokens around a ring of 1024 cowns.

use bocage_benches::{Case, Ring};

mod suite;

fn main() {
    suite::measure(|case| case == Ring::NAME, false);
}
