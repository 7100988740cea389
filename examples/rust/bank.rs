//! A bank: transfers between random accounts, and audits that see all accounts at one instant.
//!
//! No account is ever locked, and a transfer names its two accounts in any order. Each audit asks for every
//! account at once and runs between the transfers that were scheduled before it and those after, so that it
//! has to find all the money, though nothing stops for it that does not have to.

use std::process::ExitCode;
use std::time::Instant;

use bocage::{Cown, Failure, Handle, quiesce, spawn, when};

const HELP: &str = "\
Transfers money between random accounts, audits the bank meanwhile, and checks that no money is lost.

Usage: bank [--accounts N] [--transfers N] [--audits N] [--seed N]";

/// What an account starts with, in cents.
const START: i64 = 10_000;

struct Options {
    accounts: usize,
    transfers: usize,
    audits: usize,
    seed: u64,
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options = Options { accounts: 1_000, transfers: 200_000, audits: 20, seed: 1 };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("accounts") => options.accounts = parser.value()?.parse::<usize>()?.max(2),
            Long("transfers") => options.transfers = parser.value()?.parse()?,
            Long("audits") => options.audits = parser.value()?.parse::<usize>()?.max(1),
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

#[derive(Default)]
struct Account {
    balance: i64,
    refused: u64,
}

fn transfer(from: &Cown<Account>, to: &Cown<Account>, amount: i64) {
    spawn((from, to), move |(mut from, mut to)| {
        if from.balance < amount {
            from.refused += 1;
        } else {
            from.balance -= amount;
            to.balance += amount;
        }
    });
}

/// Sums up what all accounts have at one instant: their balances, and the transfers that they refused.
fn audit(accounts: &[Cown<Account>]) -> Handle<(i64, u64)> {
    when(accounts, |accounts| {
        accounts.iter().fold((0, 0), |(money, refused), account| (money + account.balance, refused + account.refused))
    })
}

/// A number below `n`, by Knuth's linear congruential generator (MMIX).
fn random(state: &mut u64, n: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    ((*state >> 33) % n as u64) as usize
}

fn run(options: &Options) -> Result<bool, Failure> {
    let accounts: Vec<_> = (0..options.accounts).map(|_| Cown::new(Account { balance: START, refused: 0 })).collect();
    let mut state = options.seed;
    let mut audits = Vec::new();
    let begun = Instant::now();
    for step in 0..options.transfers {
        let from = random(&mut state, accounts.len());
        let to = (from + 1 + random(&mut state, accounts.len() - 1)) % accounts.len();
        transfer(&accounts[from], &accounts[to], 1 + random(&mut state, 5_000) as i64);
        if step % options.transfers.div_ceil(options.audits) == 0 {
            audits.push(audit(&accounts));
        }
    }
    audits.push(audit(&accounts));
    quiesce(None).expect("main is not a behavior, and waits for as long as it takes");
    let seconds = begun.elapsed().as_secs_f64();

    let expected = START * accounts.len() as i64;
    let mut conserved = true;
    for (number, audit) in audits.into_iter().enumerate() {
        let (money, refused) = audit.wait()?;
        conserved &= money == expected;
        println!("audit {number:>3}: {:>12.2} in all accounts, {refused:>6} transfers refused", money as f64 / 100.0);
    }
    let rate = options.transfers as f64 / seconds;
    println!(
        "bank: {} transfers, {rate:.0} a second, money conserved: {}",
        options.transfers,
        if conserved { "yes" } else { "no" }
    );
    Ok(conserved)
}

fn main() -> ExitCode {
    match options() {
        Ok(Some(options)) => match run(&options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(failure) => {
                eprintln!("bank: {failure}");
                ExitCode::FAILURE
            }
        },
        Ok(None) => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bank: {error}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}
