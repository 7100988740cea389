//! What a behavior can ask for, and in which shape it gets it.
#![cfg(not(loom))]

use bocage_core::{Cown, Failure, Inline, Requests, read, when_on};

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
fn lists_of_cowns_are_read_as_they_are_written_in_every_form() {
    let cowns = [Cown::new(1), Cown::new(2), Cown::new(3)];
    let list = cowns.to_vec();
    let written = run((&cowns, &list[..1], &list[1..].to_vec()), |([_, _, c], a, b)| {
        assert!(a.into_iter().chain(b).all(|guard| guard.is_alias()));
        *c
    });
    assert_eq!(written.unwrap(), 3);
    let seen = run((read(&cowns), read(&list[..2]), read(&list)), |([a, b, c], some, all)| {
        ([*a, *b, *c], [some[0], some[1]], all.iter().copied().collect::<Vec<_>>())
    });
    assert_eq!(seen.unwrap(), ([1, 2, 3], [1, 2], vec![1, 2, 3]));
}

#[test]
fn lists_of_requests_have_guards_of_their_members_in_every_form() {
    let (a, b, c, text) = (Cown::new(1), Cown::new(2), Cown::new(3), Cown::new(String::from("x")));
    let swapped = run([&a, &b], |[mut a, mut b]| std::mem::swap(&mut *a, &mut *b));
    swapped.unwrap();
    let (reads, pairs) = ([read(&a), read(&b)], vec![(&c, read(&text))]);
    let seen = run((&reads[..], &pairs), |(reads, mut pairs)| {
        let (c, text) = &mut pairs[0];
        **c += 1;
        (*reads[0], *reads[1], **c, text.len())
    });
    assert_eq!(seen.unwrap(), (2, 1, 4, 1));
    let owned: Vec<&Cown<i32>> = [&a, &b, &c].into_iter().filter(|cown| **cown != b).collect();
    assert_eq!(run(owned, |guards| guards.iter().map(|n| **n).sum::<i32>()).unwrap(), 6);
}

#[test]
fn empty_lists_ask_for_nothing_wherever_they_are() {
    let (cown, none) = (Cown::new(1), Vec::<Cown<u8>>::new());
    let nothing: [&Cown<u8>; 0] = [];
    let seen = run(
        (read(&none), (&cown, &none[..], nothing), [(), ()], Vec::<(&Cown<u8>, ())>::new()),
        |(a, (mut cown, b, []), [(), ()], c)| {
            *cown += 1;
            a.len() + b.len() + c.len()
        },
    );
    assert_eq!(seen.unwrap(), 0);
    assert_eq!(run(read(&[] as &[Cown<u8>; 0]), |[]| 1).unwrap(), 1);
    assert_eq!(run(&cown, |cown| *cown).unwrap(), 2);
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
