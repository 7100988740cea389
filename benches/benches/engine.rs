//! W1 to W10.

mod suite;

fn main() {
    suite::measure(|_| true, true);
}
