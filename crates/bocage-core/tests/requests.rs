//! What a behavior can ask for, and in which shape it gets it.
#![cfg(not(loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};

use bocage_core::{Cown, Failure, Handle, Inline, Requests, when_on};

fn run<Q: Requests, R: Send + 'static>(
    requests: Q,
    body: impl for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
) -> Result<R, Failure> {
    when_on(Inline, requests, body).wait()
}

#[test]
fn guards_come_in_the_shape_and_order_of_the_request_whatever_the_cowns_addresses() {
    let cowns: Vec<Cown<usize>> = (0..40).map(Cown::new).collect();
    let reversed: Vec<Cown<usize>> = cowns.iter().rev().cloned().collect();
    let all = run((&cowns[..20], &reversed[..20]), |(first, last)| {
        (first.iter().copied().collect::<Vec<_>>(), last.iter().copied().collect::<Vec<_>>())
    });
    assert_eq!(all.unwrap(), ((0..20).collect(), (20..40).rev().collect()));
    assert_eq!(run(&reversed, |all| all[0]).unwrap(), 39);
}

#[test]
fn members_of_a_tuple_differ_in_type_and_nest() {
    let (number, text, list) = (Cown::new(7), Cown::new(String::from("seven")), vec![Cown::new(1.5), Cown::new(2.5)]);
    let seen =
        run((&number, (&text, &list[..]), ()), |(number, (text, list), ())| format!("{number:?} {text:?} {list:?}"));
    assert_eq!(seen.unwrap(), r#"7 "seven" [1.5, 2.5]"#);
}

#[test]
fn a_tuple_has_up_to_twelve_members_and_each_is_its_own() {
    let c: Vec<Cown<u32>> = (0..12).map(|n| Cown::new(1 << n)).collect();
    let sum = run(
        (&c[0], &c[1], &c[2], &c[3], &c[4], &c[5], &c[6], &c[7], &c[8], &c[9], &c[10], &c[11]),
        |(a, b, c, d, e, f, g, h, i, j, k, l)| *a + *b + *c + *d + *e + *f + *g + *h + *i + *j + *k + *l,
    );
    assert_eq!(sum.unwrap(), (1 << 12) - 1);
}

#[test]
fn a_behavior_without_cowns_runs() {
    assert_eq!(run((), |()| 1).unwrap(), 1);
    let none: [Cown<u8>; 0] = [];
    assert_eq!(run(&none[..], |guards| guards.len()).unwrap(), 0);
    assert_eq!(run((&Vec::<Cown<u8>>::new(), ()), |(guards, ())| guards.len()).unwrap(), 0);
}

#[test]
fn a_cown_that_is_named_twice_is_refused_at_once_and_stays_usable() {
    let cowns: Vec<Cown<u32>> = (0..20).map(Cown::new).collect();
    let mut twice = cowns.clone();
    twice.push(cowns[3].clone());
    let refused: [&dyn Fn() -> Handle<()>; 3] =
        [&|| when_on(Inline, (&cowns[0], &cowns[0].clone()), |_| ()), &|| when_on(Inline, &twice, |_| ()), &|| {
            when_on(Inline, (&cowns[..2], (&cowns[2], &cowns[1])), |_| ())
        }];
    for schedule in refused {
        let panic = catch_unwind(AssertUnwindSafe(schedule)).expect_err("it is refused");
        let text = panic.downcast_ref::<&str>().copied().map(String::from).or(panic.downcast_ref().cloned()).unwrap();
        assert!(text.contains("the same cown twice"), "{text}");
    }
    assert_eq!(run(&cowns, |all| all.iter().sum::<u32>()).unwrap(), 190);
    drop(twice);
    assert!(cowns.iter().all(|cown| cown.references() == 1), "no reference is left behind");
}

#[test]
fn handles_of_one_cown_are_equal_and_order_and_hash_as_its_identity() {
    let (a, b) = (Cown::new(1), Cown::new(1));
    assert_eq!(a, a.clone());
    assert_ne!(a, b);
    assert_eq!(a.cmp(&b), a.id().cmp(&b.id()));
    let set: std::collections::HashSet<_> = [a.clone(), a.clone(), b].into_iter().collect();
    assert_eq!(set.len(), 2);
}
