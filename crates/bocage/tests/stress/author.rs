//! A plain thread that schedules whatever there is to schedule, and waits in all the ways in which one can wait.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bocage::deterministic::replay;
use bocage::{
    Batch, Cown, Failure, Guard, Handle, ReadGuard, RuntimeRef, acquire, batch, read, scope, spawn, try_acquire, when,
};

use crate::cell::{Cell, Findings, Token, Turn};
use crate::random::Random;
use crate::round::{Kind, Round};

/// A behavior that was scheduled, and whether it fails.
struct Scheduled {
    handle: Handle<Token>,
    fails: bool,
}

/// Where a behavior is scheduled.
enum On<'a> {
    /// As `when` chooses: the default runtime.
    Default,
    Runtime(RuntimeRef),
    Batch(&'a mut Batch),
}

pub struct Author<'a> {
    round: &'a Round,
    me: usize,
    /// How often it has written each cown so far.
    written: Vec<u64>,
    random: Random,
    /// Some that it has not let go of yet.
    kept: Vec<Scheduled>,
}

/// As many as there is a request for, see [`request`].
const MOST_READS: usize = 4;

/// One cown of a request.
struct Ask {
    cown: Cown<Cell>,
    reads: bool,
    turn: Turn,
}

/// What a body takes along.
struct Job {
    /// Those that are written, then those that are read.
    turns: (Vec<Turn>, Vec<Turn>),
    token: Token,
    panics: bool,
    /// Scheduled by the body, on these cowns.
    inner: Vec<Cown<Cell>>,
}

impl Job {
    fn run(self, writes: Vec<Guard<'_, Cell>>, reads: Vec<ReadGuard<'_, Cell>>) -> Token {
        for (mut cell, turn) in writes.into_iter().zip(self.turns.0) {
            cell.write(turn);
            if cell.is_poisoned() {
                cell.clear_poison();
            }
        }
        reads.iter().zip(self.turns.1).for_each(|(cell, turn)| cell.read(turn));
        for cown in &self.inner {
            let token = Token::new(&self.token.0);
            spawn(cown, move |mut cell| {
                cell.write(None);
                drop(token);
            });
        }
        if self.panics {
            resume_unwind(Box::new(self.token));
        }
        self.token
    }
}

impl<'a> Author<'a> {
    pub fn new(round: &'a Round, me: usize, seed: u64) -> Self {
        Self { round, me, written: vec![0; round.cowns.len()], random: Random::new(seed), kept: Vec::new() }
    }

    /// Does so many things, one after the other. Returns how often it has written each cown.
    pub fn work(mut self, things: usize) -> Vec<u64> {
        for _ in 0..things {
            match self.random.below(400) {
                0 => self.scope(),
                1..=4 => self.blocks(),
                5..=8 => self.acquires(),
                9..=10 => self.tries(),
                11..=30 => self.batch(),
                31..=50 => self.uses_results(),
                51 => self.deterministic(),
                _ => self.one(),
            }
            if self.kept.len() > 30 {
                self.let_go();
            }
        }
        while !self.kept.is_empty() {
            self.let_go();
        }
        self.written
    }

    fn findings(&self) -> &'a Arc<Findings> {
        &self.round.findings
    }

    /// A request for so many different cowns; for twelve, only to write.
    fn asks(&mut self, count: usize) -> Vec<Ask> {
        let mut reads_left = if count == 12 { 0 } else { MOST_READS };
        if count == 0 {
            return Vec::new();
        }
        let all = self.round.cowns.len();
        // Less than once round, so that all are different.
        let (first, stride) = (self.random.below(all), 1 + self.random.below(all / count));
        (0..count)
            .map(|i| {
                let at = (first + i * stride) % all;
                let reads = reads_left > 0 && self.random.once_in(3);
                reads_left -= usize::from(reads);
                let turn = Some((self.me, self.written[at]));
                self.written[at] += u64::from(!reads);
                Ask { cown: self.round.cowns[at].clone(), reads, turn }
            })
            .collect()
    }

    fn on(&mut self) -> On<'static> {
        let runtimes = &self.round.runtimes;
        match self.random.below(2 * runtimes.len()) {
            0 => On::Default,
            n => On::Runtime(runtimes[n % runtimes.len()]),
        }
    }

    fn one(&mut self) {
        let on = self.on();
        let panics = self.random.once_in(100);
        let scheduled = self.schedule(on, panics);
        if self.random.once_in(8) {
            self.kept.push(scheduled);
        }
    }

    /// Schedules one behavior, of a random shape.
    fn schedule(&mut self, on: On<'_>, panics: bool) -> Scheduled {
        let count = match self.random.below(32) {
            0 => 0,
            1..=12 => 1,
            13..=22 => 2,
            23..=28 => 3,
            29..=30 => 4 + self.random.below(5),
            _ => 12,
        };
        let asks = self.asks(count);
        let (reads, writes): (Vec<Ask>, Vec<Ask>) = asks.into_iter().partition(|ask| ask.reads);
        let turns = |asks: &[Ask]| asks.iter().map(|ask| ask.turn).collect();
        let inner = match self.random.below(40) {
            0 => vec![self.round.cowns[self.random.below(self.round.cowns.len())].clone(); 2],
            1 => writes.iter().map(|ask| ask.cown.clone()).collect(),
            _ => Vec::new(),
        };
        let kind = if panics { Kind::Panicking } else { Kind::Plain };
        self.round.tally.add(kind, 1);
        self.round.tally.add(Kind::Inner, inner.len() as u64);
        let job = Job { turns: (turns(&writes), turns(&reads)), token: Token::new(self.findings()), panics, inner };
        let handle = request(on, job, writes, reads, self.random.once_in(2));
        Scheduled { handle, fails: panics }
    }

    /// Some behaviors in one step.
    fn batch(&mut self) {
        let count = 2 + self.random.below(5);
        self.round.tally.add(Kind::Batches, 1);
        let scheduled = match self.on() {
            On::Runtime(runtime) => runtime.batch(|batch| self.add_to(batch, count)),
            _ => batch(|batch| self.add_to(batch, count)),
        };
        if self.random.once_in(4) {
            self.kept.extend(scheduled);
        }
    }

    fn add_to(&mut self, batch: &mut Batch, count: usize) -> Vec<Scheduled> {
        (0..count).map(|_| self.schedule(On::Batch(batch), false)).collect()
    }

    /// A behavior on the results of two others.
    fn uses_results(&mut self) {
        let Some(second) = self.kept.pop() else { return };
        let Some(first) = self.kept.pop() else { return self.kept.push(second) };
        let fails = first.fails || second.fails;
        let (first, second) = (first.handle.into_cown(), second.handle.into_cown());
        let token = Token::new(self.findings());
        let handle = when((&first, read(&second)), move |_| token);
        self.round.tally.add(Kind::OnResults, 1);
        self.kept.push(Scheduled { handle, fails });
    }

    /// Waits for one that it kept, or does not.
    fn let_go(&mut self) {
        let at = self.random.below(self.kept.len());
        let Scheduled { handle, fails } = self.kept.swap_remove(at);
        let outcome = match self.random.below(6) {
            0 => handle.wait(),
            1 => block_on(handle.into_future()),
            2 => {
                // Not for long.
                let mut outcome = pin!(handle.into_future());
                match outcome.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(outcome) => outcome,
                    Poll::Pending => return,
                }
            }
            _ => return,
        };
        let as_expected = match outcome {
            Ok(_) => !fails,
            Err(Failure::Panicked(_) | Failure::Missing) => fails,
            Err(_) => false,
        };
        self.findings().expect(as_expected, "a behavior ended otherwise than it should");
    }

    /// Takes cowns as a thread that blocks.
    fn blocks(&mut self) {
        let asks = self.asks(2);
        self.round.tally.add(Kind::Acquisitions, 1);
        let [a, b] = &asks[..] else { unreachable!("two were asked for") };
        match (a.reads, b.reads) {
            (false, false) => {
                let mut held = acquire((&a.cown, &b.cown)).wait();
                let (mut on_a, mut on_b) = held.guards();
                on_a.write(a.turn);
                on_b.write(b.turn);
            }
            (true, false) => {
                let mut held = acquire((read(&a.cown), &b.cown)).wait();
                let (on_a, mut on_b) = held.guards();
                on_a.read(a.turn);
                on_b.write(b.turn);
            }
            (false, true) => {
                let mut held = acquire((&a.cown, read(&b.cown))).wait();
                let (mut on_a, on_b) = held.guards();
                on_a.write(a.turn);
                on_b.read(b.turn);
            }
            (true, true) => {
                let mut held = block_on(acquire((read(&a.cown), read(&b.cown))));
                let (on_a, on_b) = held.guards();
                on_a.read(a.turn);
                on_b.read(b.turn);
            }
        }
    }

    /// Takes cowns as a task does, and may give up.
    fn acquires(&mut self) {
        let count = self.round.cowns.len();
        let at = self.random.below(count);
        let (a, b) = (&self.round.cowns[at], &self.round.cowns[(at + 1) % count]);
        let mut future = pin!(acquire((a, read(b))));
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        for _ in 0..self.random.below(4) {
            if let Poll::Ready(mut held) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.round.tally.add(Kind::Acquisitions, 1);
                let (mut on_a, on_b) = held.guards();
                on_a.write(Some((self.me, self.written[at])));
                on_b.read(None);
                self.written[at] += 1;
                return;
            }
            thread::yield_now();
        }
        self.round.tally.add(Kind::GivenUp, 1);
    }

    /// Takes a cown if it is free.
    fn tries(&mut self) {
        let cown = &self.round.cowns[self.random.below(self.round.cowns.len())];
        if let Some(mut held) = try_acquire(cown) {
            self.round.tally.add(Kind::Acquisitions, 1);
            held.guards().write(None);
        }
    }

    /// Behaviors that borrow from this stack.
    fn scope(&mut self) {
        let mut sums = [0; 6];
        let panics = self.random.once_in(4);
        self.round.tally.add(Kind::Scoped, sums.len() as u64);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                for (i, sum) in sums.iter_mut().enumerate() {
                    let ask = self.asks(1).remove(0);
                    let token = Token::new(self.findings());
                    let run = move || {
                        *sum += 1;
                        if panics && i == 3 {
                            resume_unwind(Box::new(token));
                        }
                    };
                    if ask.reads {
                        s.when(read(&ask.cown), move |cell| {
                            cell.read(ask.turn);
                            run();
                        });
                    } else {
                        s.when(&ask.cown, move |mut cell| {
                            cell.write(ask.turn);
                            run();
                        });
                    }
                }
            });
        }));
        // What the scope says of it is a panic of its own.
        self.findings().expect(ended.is_err() == panics, "a scope ended otherwise than it should");
        self.findings().expect(sums == [1; 6], "a scope ended before its behaviors");
    }

    /// A small program on this thread alone.
    fn deterministic(&mut self) {
        const BEHAVIORS: u64 = 40;
        let (seed, findings) = (self.random.next(), self.findings());
        self.round.tally.add(Kind::Deterministic, BEHAVIORS);
        replay(seed, || {
            let cowns = [(); 3].map(|()| Cown::new(Cell::new(1, findings)));
            let mut random = Random::new(seed);
            let mut written = [0; 3];
            for _ in 0..BEHAVIORS {
                let (a, b) = (random.below(3), random.below(2));
                let b = if b >= a { b + 1 } else { b };
                let (on_a, on_b) = (Some((0, written[a])), Some((0, written[b])));
                written[a] += 1;
                let token = Token::new(findings);
                spawn((&cowns[a], read(&cowns[b])), move |(mut a, b)| {
                    a.write(on_a);
                    b.read(on_b);
                    drop(token);
                });
            }
            let ends = when(&cowns[..], |cells| cells.iter().map(|cell| cell.written()[0]).sum::<u64>());
            findings.expect(ends.wait().is_ok_and(|sum| sum == BEHAVIORS), "a deterministic behavior was lost");
        });
    }
}

/// Schedules on these cowns, in one of the shapes in which one can ask for them.
fn request(on: On<'_>, job: Job, writes: Vec<Ask>, reads: Vec<Ask>, flat: bool) -> Handle<Token> {
    macro_rules! schedule {
        ($requests:expr, $guards:pat => $writes:expr, $reads:expr) => {
            match on {
                On::Default => when($requests, move |$guards| job.run($writes, $reads)),
                On::Runtime(runtime) => runtime.when($requests, move |$guards| job.run($writes, $reads)),
                On::Batch(batch) => batch.when($requests, move |$guards| job.run($writes, $reads)),
            }
        };
    }
    let cowns = |asks: Vec<Ask>| asks.into_iter().map(|ask| ask.cown).collect::<Vec<_>>();
    let (writes, reads) = (cowns(writes), cowns(reads));
    match (&writes[..], &reads[..], flat) {
        ([], [], _) => schedule!((), () => vec![], vec![]),
        ([w], [], true) => schedule!(w, w => vec![w], vec![]),
        ([], [r], _) => schedule!(read(r), r => vec![], vec![r]),
        ([w, x], [], true) => schedule!((w, x), (w, x) => vec![w, x], vec![]),
        ([w], [r], true) => schedule!((read(r), w), (r, w) => vec![w], vec![r]),
        ([w, x], [r], true) => schedule!((w, read(r), x), (w, r, x) => vec![w, x], vec![r]),
        ([w], [r, s], true) => schedule!(((w, read(r)), (read(s),)), ((w, r), (s,)) => vec![w], vec![r, s]),
        ([], [r, s, t], _) => schedule!((read(r), read(s), read(t)), (r, s, t) => vec![], vec![r, s, t]),
        ([a, b, c, d, e, f, g, h, i, j, k, l], [], true) => {
            schedule!(
                (a, b, c, d, e, f, g, h, i, j, k, l),
                (a, b, c, d, e, f, g, h, i, j, k, l) => vec![a, b, c, d, e, f, g, h, i, j, k, l],
                vec![]
            )
        }
        (_, [], true) => schedule!(&writes, w => w.into_iter().collect(), vec![]),
        (w, [], false) => schedule!(w, w => w.into_iter().collect(), vec![]),
        (w, [r], _) => schedule!((w, read(r)), (w, r) => w.into_iter().collect(), vec![r]),
        (w, [r, s], _) => schedule!((read(r), w, read(s)), (r, w, s) => w.into_iter().collect(), vec![r, s]),
        (w, [r, s, t], _) => {
            schedule!((read(r), w, (read(s), read(t))), (r, w, (s, t)) => w.into_iter().collect(), vec![r, s, t])
        }
        (w, [r, s, t, u], _) => {
            schedule!((w, read(r), read(s), read(t), read(u)), (w, r, s, t, u) => w.into_iter().collect(), vec![r, s, t, u])
        }
        _ => unreachable!("more than {MOST_READS} cowns to read"),
    }
}

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
