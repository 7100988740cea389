//! Where the time of W7-1us goes: `rows [ROUNDS]`, with two workers.
//!
//! Between two writes of a hot cown stand 19 reads of a microsecond each: a *row*. Every body says when it began and when it
//! ended, and on which thread. Printed is, over all rows, how long a row takes from write to write, when the first thread and
//! the second one begin to read after the write, how long a body takes, what lies between two of them on one thread, and how
//! long after the last the next write begins. Rows that are scheduled while they run, by the body that schedules all, are left
//! out. Microseconds; the two looks at the clock of each body are part of them.

use std::cell::RefCell;
use std::env;
use std::hint::black_box;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bocage::{Builder, Cown, read, spawn};
use bocage_benches::microsecond;

const ROWS: usize = 2_000;
/// The write and what it stands before.
const LONG: usize = 20;

/// A body that has run.
#[derive(Clone, Copy)]
struct Ran {
    number: usize,
    by: usize,
    from: Instant,
    to: Instant,
}

thread_local! {
    /// Those that have run on this thread.
    static RAN: RefCell<Vec<Ran>> = const { RefCell::new(Vec::new()) };
}

fn run(number: usize, body: impl FnOnce()) {
    let from = Instant::now();
    body();
    let to = Instant::now();
    RAN.with_borrow_mut(|ran| ran.push(Ran { number, by: 0, from, to }));
}

fn main() {
    let rounds = env::args().nth(1).map_or(40, |arg| arg.parse().expect("usage: rows [ROUNDS]"));
    // Measures how long a microsecond is.
    microsecond();
    let names = ["row", "first", "second", "body", "gap", "to the write"];
    let mut times = names.map(|_| Vec::new());
    for _ in 0..rounds {
        round(&mut times);
    }
    println!("{:12}{:>9}{:>9}{:>9}{:>9}", "", "mean", "10 %", "50 %", "90 %");
    for (name, mut times) in names.into_iter().zip(times) {
        times.sort_unstable();
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let mean = us(times.iter().sum()) / times.len().max(1) as f64;
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().map_or(f64::NAN, us);
        println!("{name:12}{mean:9.3}{:9.3}{:9.3}{:9.3}", at(10), at(50), at(90));
    }
}

fn round([rows, first, second, bodies, gaps, to_write]: &mut [Vec<Duration>; 6]) {
    let (tell, told) = mpsc::channel();
    let on_stop = move |by| {
        let ran = RAN.take().into_iter().map(|ran| Ran { by, ..ran });
        tell.send(ran.collect::<Vec<_>>()).expect("somebody collects them");
    };
    let runtime = Builder::new().workers(2).on_stop(on_stop).build().expect("threads can be started");
    let scheduled = runtime.when((), |()| {
        let cown = Cown::new(0_u64);
        for number in 0..ROWS * LONG {
            if number.is_multiple_of(LONG) {
                spawn(&cown, move |mut count| run(number, || *count += 1));
            } else {
                spawn(read(&cown), move |count| {
                    run(number, || {
                        microsecond();
                        black_box(*count);
                    });
                });
            }
        }
        Instant::now()
    });
    runtime.wait(None).expect("it waits as long as it takes");
    let scheduled = scheduled.wait().expect("it does not panic");
    drop(runtime);
    let mut ran: Vec<Ran> = told.into_iter().flatten().collect();
    ran.sort_unstable_by_key(|ran| ran.number);
    for row in ran.windows(LONG + 1).step_by(LONG).filter(|row| row[0].from > scheduled) {
        let (write, reads, next) = (row[0], &row[1..LONG], row[LONG]);
        rows.push(next.from - write.from);
        bodies.extend(reads.iter().map(|read| read.to - read.from));
        to_write.extend(reads.iter().map(|read| read.to).max().map(|last| next.from - last));
        let mut begins = Vec::new();
        for by in 0..2 {
            let mut own: Vec<_> = reads.iter().filter(|read| read.by == by).collect();
            own.sort_unstable_by_key(|read| read.from);
            begins.extend(own.first().map(|read| read.from - write.to));
            gaps.extend(own.windows(2).map(|two| two[1].from - two[0].to));
        }
        begins.sort_unstable();
        first.push(begins[0]);
        second.extend(begins.get(1));
    }
}
