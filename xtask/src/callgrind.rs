//! Reads a profile of callgrind's, taken with `--dump-instr=yes`: how often each instruction was executed.
//!
//! Of the format (valgrind's manual, "Callgrind Format Specification") only what such a profile has: a line of costs
//! begins with the instruction's address in its object, absolute or relative to the line before; the last number is
//! how often it was executed. The line after `calls=` holds the cost of the callee, which has lines of its own: it
//! moves the address and is not counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::process;

/// How often each instruction was executed.
#[derive(Debug, Default)]
pub struct Profile {
    /// By the object's path, then by the address that `objdump` shows.
    objects: BTreeMap<String, HashMap<u64, u64>>,
}

impl Profile {
    /// What this file holds.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|cause| Error::io("read", file, &cause))?;
        Self::parse(&text).ok_or_else(|| Error::new(format!("{} is not what callgrind writes", file.display())))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut profile = Profile::default();
        // Names are written once, and are numbers from then on.
        let mut names: HashMap<&str, &str> = HashMap::new();
        let (mut object, mut address, mut of_callee) = ("", 0_u64, false);
        let (mut with_instructions, mut total) = (false, None);
        for line in text.lines() {
            if line.starts_with("positions:") {
                with_instructions = line.contains("instr");
            } else if let Some(sum) = line.strip_prefix("totals: ") {
                total = Some(sum.trim().parse().ok()?);
            } else if let Some(name) = line.strip_prefix("ob=").or_else(|| line.strip_prefix("cob=")) {
                let name = match name.split_once(' ') {
                    Some((number, name)) => *names.entry(number).or_insert(name),
                    None => *names.get(name)?,
                };
                if line.starts_with("ob=") {
                    object = name;
                }
            } else if line.starts_with("calls=") {
                of_callee = true;
            } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
                let mut words = line.split(' ');
                address = moved(address, words.next()?)?;
                // No cost is a cost of none.
                let executed = words.nth(1).map_or(Some(0), |count| count.parse().ok())?;
                if !std::mem::take(&mut of_callee) {
                    *profile.objects.entry(object.to_owned()).or_default().entry(address).or_default() += executed;
                }
            }
        }
        // What callgrind counted itself: whoever misread a line would be off.
        (with_instructions && total == Some(profile.executed().all())).then_some(profile)
    }

    /// How many instructions were executed.
    pub fn executed(&self) -> Sum {
        let mut sum = Sum::default();
        for (object, executed) in &self.objects {
            sum.add(object, executed.values().sum());
        }
        sum
    }

    /// How many of them were locked, that is, atomic for all cores. For x86-64; `objdump` says which they are.
    pub fn locked(&self) -> Result<Sum> {
        let mut sum = Sum::default();
        for (object, executed) in &self.objects {
            // What belongs to no file, such as the kernel's page of functions.
            if !Path::new(object).is_file() {
                continue;
            }
            let mut objdump = Command::new("objdump");
            let assembly = process::output(objdump.args(["--disassemble", "--no-show-raw-insn"]).arg(object))?;
            let locked = locked_in(&assembly);
            let executed = executed.iter().filter(|(address, _)| locked.contains(address));
            sum.add(object, executed.map(|(_, count)| count).sum());
        }
        Ok(sum)
    }
}

/// A number of executed instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Of the program itself.
    pub own: u64,
    /// Of shared libraries, such as libc with its allocator.
    pub libraries: u64,
}

impl Sum {
    pub fn all(self) -> u64 {
        self.own + self.libraries
    }

    fn add(&mut self, object: &str, count: u64) {
        let of = if object.contains(".so") { &mut self.libraries } else { &mut self.own };
        *of += count;
    }
}

/// An address that a line gives: absolute, or what it is to the one before.
fn moved(address: u64, position: &str) -> Option<u64> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    match position.split_at_checked(1)? {
        ("*", "") => Some(address),
        ("+", more) => address.checked_add(number(more)?),
        ("-", less) => address.checked_sub(number(less)?),
        _ => number(position),
    }
}

/// The addresses of the locked instructions: those with the prefix, and exchanges with memory, which need none.
fn locked_in(assembly: &str) -> HashSet<u64> {
    let address = |line: &str| {
        let (address, instruction) = line.split_once(":\t")?;
        let instruction = instruction.trim();
        let locked = instruction.starts_with("lock ") || instruction.starts_with("xchg ") && instruction.contains('(');
        locked.then(|| u64::from_str_radix(address.trim(), 16).ok())?
    };
    assembly.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
positions: instr line
events: Ir

ob=(1) /bin/program
fl=(1) a.rs
fn=(1) main
0x1000 5 10
+4 * 20
cob=(2) /lib/libc.so
cfn=(2) malloc
calls=7 0x2000 0
+4 7 7000
-8 +1 3

ob=(2)
fn=(2)
0x2000 0 90
ob=(1)
fn=(1)
0x1004 6 1
* 7
totals: 124
";

    #[test]
    fn each_instruction_is_counted_where_it_is_and_a_callee_only_once() {
        let profile = Profile::parse(TEXT).unwrap();
        let program = &profile.objects["/bin/program"];
        assert_eq!(program.get(&0x1000), Some(&13));
        assert_eq!(program.get(&0x1004), Some(&21));
        assert_eq!(program.get(&0x1008), None);
        assert_eq!(profile.objects["/lib/libc.so"].get(&0x2000), Some(&90));
        assert_eq!(profile.executed(), Sum { own: 34, libraries: 90 });
    }

    #[test]
    fn a_profile_without_instructions_or_of_another_sum_is_refused() {
        assert!(Profile::parse("positions: line\nevents: Ir\nob=(1) x\n5 10\ntotals: 0\n").is_none());
        assert!(Profile::parse(&TEXT.replace("totals: 124", "totals: 125")).is_none());
    }

    #[test]
    fn an_exchange_of_registers_is_not_locked() {
        let assembly = "\
0000000000001000 <main>:
    1000:\tlock cmpxchg %rcx,(%rdi)
    1005:\txchg   %ax,%ax
    1007:\txchg   %rsi,0x40(%r14)
    100b:\tmov    %rax,(%rdi)
";
        let mut locked: Vec<_> = locked_in(assembly).into_iter().collect();
        locked.sort_unstable();
        assert_eq!(locked, [0x1000, 0x1007]);
    }
}
