//! The board against a sequential model: a plain sorted map, changed by the same operations.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bocage_noticeboard::{Board, Builder, Change, Error, MAX_KEYS, Snapshot, Warning};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Write(u8, u32),
    /// Adds to what is there, or to 1000.
    Add(u8, u32),
    RemoveIfEven(u8),
    Fail(u8),
    Panic(u8),
    Delete(u8),
    Seed(u8, u32),
    Clear,
}

/// 70 keys, so that boards fill up; some steps fill one at once.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..70_u8;
    let step = prop_oneof![
        8 => (key.clone(), any::<u32>()).prop_map(|(k, v)| Step::Write(k, v)),
        4 => (key.clone(), any::<u32>()).prop_map(|(k, v)| Step::Add(k, v)),
        2 => key.clone().prop_map(Step::RemoveIfEven),
        1 => key.clone().prop_map(Step::Fail),
        1 => key.clone().prop_map(Step::Panic),
        2 => key.clone().prop_map(Step::Delete),
        2 => (key, any::<u32>()).prop_map(|(k, v)| Step::Seed(k, v)),
    ];
    let rarely_clear = prop_oneof![60 => step, 1 => Just(Step::Clear)];
    (any::<bool>(), prop::collection::vec(rarely_clear, 0..150)).prop_map(|(full, rest)| {
        let fill = (0..if full { 64 } else { 0 }).map(|k| Step::Write(k, u32::from(k)));
        fill.chain(rest).collect()
    })
}

fn name(key: u8) -> String {
    format!("key {key}")
}

/// What the board should be: entries, how many changes, and the keys that were warned about.
#[derive(Default)]
struct Model {
    entries: BTreeMap<String, u32>,
    version: u64,
    warnings: Vec<String>,
}

impl Model {
    fn install(&mut self, key: String, value: u32) -> bool {
        let fits = self.entries.contains_key(&key) || self.entries.len() < MAX_KEYS;
        if fits {
            self.entries.insert(key, value);
            self.version += 1;
        }
        fits
    }

    fn remove(&mut self, key: &str) {
        if self.entries.remove(key).is_some() {
            self.version += 1;
        }
    }

    fn install_or_warn(&mut self, key: String, value: u32) {
        if !self.install(key.clone(), value) {
            self.warnings.push(format!("full {key}"));
        }
    }

    fn agrees_with(&self, seen: &Snapshot<u32>) -> bool {
        let seen_entries = seen.iter().map(|(key, value)| (key.to_string(), **value)).collect::<Vec<_>>();
        let entries = self.entries.clone().into_iter().collect::<Vec<_>>();
        seen_entries == entries
            && seen.version() == self.version
            && seen.len() == self.entries.len()
            && (0..70).all(|key| {
                let key = name(key);
                seen.value(&key).map(|value| **value) == self.entries.get(&key).copied()
            })
    }
}

fn describe(warning: &Warning) -> String {
    match warning {
        Warning::Full { key } => format!("full {key}"),
        Warning::UpdateFailed { key, failure } => format!("failed {key} {failure}"),
        Warning::UpdatePanicked { key, message } => format!("panicked {key} {message}"),
    }
}

fn send(board: &Board<u32>, step: &Step) -> Result<(), Error> {
    match *step {
        Step::Write(key, value) => board.write(&name(key), Arc::new(value)),
        Step::Add(key, value) => board.update(&name(key), move |old| {
            let old = old.map_or(1000, |old| **old);
            Ok(Change::Set(Arc::new(old.wrapping_add(value))))
        }),
        Step::RemoveIfEven(key) => board.update(&name(key), |old| {
            Ok(match old {
                Some(odd) if **odd % 2 == 1 => Change::Set(Arc::clone(odd)),
                _ => Change::Remove,
            })
        }),
        Step::Fail(key) => board.update(&name(key), |_| Err("no".into())),
        // `resume_unwind` does not call the panic hook, so the test's output stays readable.
        Step::Panic(key) => board.update(&name(key), |_| std::panic::resume_unwind(Box::new("ouch"))),
        Step::Delete(key) => board.delete(&name(key)),
        Step::Seed(key, value) => board.seed(&name(key), Arc::new(value)),
        Step::Clear => board.clear(),
    }
}

fn expect(model: &mut Model, step: &Step) {
    match *step {
        Step::Write(key, value) => model.install_or_warn(name(key), value),
        Step::Add(key, value) => {
            let old = model.entries.get(&name(key)).copied().unwrap_or(1000);
            model.install_or_warn(name(key), old.wrapping_add(value));
        }
        Step::RemoveIfEven(key) => match model.entries.get(&name(key)) {
            Some(odd) if odd % 2 == 1 => model.version += 1,
            _ => model.remove(&name(key)),
        },
        Step::Fail(key) => model.warnings.push(format!("failed {} no", name(key))),
        Step::Panic(key) => model.warnings.push(format!("panicked {} ouch", name(key))),
        Step::Delete(key) => model.remove(&name(key)),
        Step::Seed(key, value) => {
            model.install(name(key), value);
        }
        Step::Clear => {
            model.entries.clear();
            model.version += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_board_is_a_sorted_map_changed_in_order(steps in steps(), looks in any::<u64>()) {
        let warned = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&warned);
        let board = Builder::new()
            .on_warning(move |warning| heard.lock().unwrap().push(describe(warning)))
            .start()
            .unwrap();
        let mut model = Model::default();
        let mut kept = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            let is_new = |key: &u8| !model.entries.contains_key(&name(*key));
            let refused = matches!(step, Step::Seed(key, _)
                if is_new(key) && model.entries.len() == MAX_KEYS);
            match send(&board, step) {
                Ok(()) => prop_assert!(!refused),
                Err(Error::Full { key }) => prop_assert!(refused, "{key}"),
                Err(other) => prop_assert!(false, "{other}"),
            }
            expect(&mut model, step);
            if looks >> (at % 64) & 1 == 1 {
                let seen = board.flush(None).unwrap();
                prop_assert!(model.agrees_with(&seen), "{seen:?}\nis not {:?}", model.entries);
                kept.push((seen, model.entries.clone()));
            }
        }
        let last = board.flush(None).unwrap();
        prop_assert!(model.agrees_with(&last), "{last:?}\nis not {:?}", model.entries);
        prop_assert_eq!(&*warned.lock().unwrap(), &model.warnings);
        // What was taken on the way is still what it was.
        for (seen, entries) in kept {
            let seen = seen.iter().map(|(k, v)| (k.to_string(), **v)).collect::<BTreeMap<_, _>>();
            prop_assert_eq!(seen, entries);
        }
    }
}
