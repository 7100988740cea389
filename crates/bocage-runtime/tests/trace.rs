//! What a trace tells, read back as Perfetto would read it.
#![cfg(all(not(loom), feature = "trace"))]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bocage_core::{Cown, Erased, acquire, read, schedule_erased};
use bocage_runtime::{Builder, OnDrop, Runtime, RuntimeRef, trace};
use serde_json::Value;

const LONG: Duration = Duration::from_secs(60);

fn traced(workers: usize) -> Runtime {
    Builder::new().workers(workers).trace(10_000).build().unwrap()
}

/// The events of what was recorded.
fn events(runtime: &Runtime) -> Vec<Value> {
    let mut json = Vec::new();
    runtime.take_trace().write(&mut json).unwrap();
    let Value::Object(mut whole) = serde_json::from_slice(&json).unwrap() else { panic!("not an object") };
    let Value::Array(events) = whole["traceEvents"].take() else { panic!("no events") };
    events
}

fn of_phase<'a>(events: &'a [Value], phase: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["ph"] == phase).collect()
}

/// The names of the slices that each arrow leads from and to.
fn arrows(events: &[Value]) -> Vec<(&str, &str)> {
    let slices = of_phase(events, "X");
    let at = |event: &Value| {
        let within = |slice: &&&Value| {
            let (begin, dur) = (number(slice, "ts"), number(slice, "dur"));
            let ts = number(event, "ts");
            slice["tid"] == event["tid"] && begin <= ts && ts <= begin + dur + 0.001
        };
        // Where two touch it is the one that begins there, as an arrow's end binds to it.
        slices.iter().rfind(within).unwrap_or_else(|| panic!("{event} is in no slice"))["name"].as_str().unwrap()
    };
    let (from, to) = (of_phase(events, "s"), of_phase(events, "f"));
    assert_eq!(from.len(), to.len());
    let ends = |(from, to): (&&Value, &&Value)| {
        assert_eq!(from["id"], to["id"]);
        assert!(number(from, "ts") <= number(to, "ts"));
        (at(from), at(to))
    };
    from.iter().zip(&to).map(ends).collect()
}

/// The track of this name.
fn track(events: &[Value], name: &str) -> u64 {
    let mut named = of_phase(events, "M").into_iter().filter(|track| track["args"]["name"] == name);
    let track = named.next().unwrap_or_else(|| panic!("no {name} in {:?}", of_phase(events, "M")));
    assert!(named.next().is_none(), "{name} is there twice");
    track["tid"].as_u64().unwrap()
}

/// Runs `f` on a thread of this name.
fn on_thread<T: Send>(name: &str, f: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| thread::Builder::new().name(name.into()).spawn_scoped(scope, f).unwrap().join().unwrap())
}

fn number(event: &Value, key: &str) -> f64 {
    event[key].as_f64().unwrap_or_else(|| panic!("{key} of {event}"))
}

#[test]
fn a_slice_for_each_behavior_with_its_name_its_wait_and_its_cowns() {
    let runtime = traced(1);
    let (a, b) = (Cown::new(0), Cown::new(0));
    let (go, gone) = mpsc::channel::<()>();
    let (begun, begin) = mpsc::channel();
    drop(runtime.when((), move |()| {
        begun.send(()).unwrap();
        _ = gone.recv_timeout(LONG);
        trace::name(format!("a \"name\"\n{}", 1));
    }));
    drop(runtime.when((&a, read(&b)), |_| thread::sleep(Duration::from_millis(3))));
    drop(runtime.batch(|batch| batch.when(&b, |_| ())));
    begin.recv_timeout(LONG).unwrap();
    thread::sleep(Duration::from_millis(5));
    drop(go);
    runtime.quiesce(Some(LONG)).unwrap();

    let events = events(&runtime);
    let tracks = of_phase(&events, "M");
    assert_eq!(tracks.len(), 1);
    assert_eq!(tracks[0]["args"]["name"], "worker 0");
    let slices = of_phase(&events, "X");
    let [first, second, third] = slices[..] else { panic!("{slices:?}") };
    assert_eq!(first["name"], "a \"name\"\n1");
    assert!(number(first, "dur") >= 5000.0);
    let closure = second["name"].as_str().unwrap();
    assert!(closure.contains("a_slice_for_each_behavior") && closure.ends_with("{{closure}}"), "{closure}");
    assert!(number(second, "dur") >= 3000.0);
    assert!(number(&second["args"], "waited_us") >= 5000.0);
    let cowns: Vec<_> = second["args"]["cowns"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    assert_eq!(cowns, [format!("{:#x}", a.id().get()), format!("read {:#x}", b.id().get())]);
    assert_eq!(third["args"]["cowns"][0], format!("{:#x}", b.id().get()));
    for pair in [[first, second], [second, third]] {
        let end = number(pair[0], "ts") + number(pair[0], "dur");
        assert!(end <= number(pair[1], "ts") + 0.001, "one worker, one after another");
    }
    assert!(runtime.take_trace().is_empty(), "taken is taken");
}

#[test]
fn arrows_lead_from_the_slice_that_released_to_the_slice_that_got() {
    const CHAIN: usize = 100;
    for workers in 1..=3 {
        let runtime = traced(workers);
        let cowns = [Cown::new(0), Cown::new(0)];
        let (go, gone) = mpsc::channel::<()>();
        drop(runtime.when((&cowns[0], &cowns[1]), move |_| {
            _ = gone.recv_timeout(LONG);
            trace::name("0 of 0");
        }));
        for i in 1..=CHAIN {
            for (c, cown) in cowns.iter().enumerate() {
                drop(runtime.when(cown, move |_| trace::name(format!("{i} of {c}"))));
            }
        }
        drop(go);
        runtime.quiesce(Some(LONG)).unwrap();
        // The blocks of the first round are used again, as they are as large, with no hand-over.
        for i in 1..=CHAIN {
            for c in 0..2 {
                drop(runtime.when(&Cown::new(0), move |_| trace::name(format!("{i} of {c}, free"))));
            }
        }
        runtime.quiesce(Some(LONG)).unwrap();

        let events = events(&runtime);
        let slices = of_phase(&events, "X");
        assert_eq!(slices.len(), 1 + 4 * CHAIN);
        let arrows = arrows(&events);
        assert_eq!(arrows.len(), 2 * CHAIN, "{workers} workers");
        for (from, to) in arrows {
            let place = |name: &str| -> (usize, usize) {
                let (i, c) = name.split_once(" of ").unwrap_or_else(|| panic!("an arrow at {name}"));
                (i.parse().unwrap(), c.parse().unwrap())
            };
            let ((before, of), (after, same)) = (place(from), place(to));
            assert!(before + 1 == after && (before == 0 || of == same), "{from} to {to}");
        }
    }
}

#[test]
fn it_keeps_as_many_as_it_was_told_and_counts_the_others() {
    let runtime = Builder::new().workers(1).trace(10).build().unwrap();
    let cown = Cown::new(0);
    for _ in 0..25 {
        drop(runtime.when(&cown, |_| ()));
    }
    runtime.quiesce(Some(LONG)).unwrap();
    let trace = runtime.take_trace();
    assert_eq!((trace.len(), trace.dropped()), (10, 15));
    drop(runtime.when(&cown, |_| ()));
    runtime.wait(Some(LONG)).unwrap();
    assert_eq!(runtime.take_trace().len(), 1, "there is room again, and a stopped runtime still tells");
}

#[test]
fn who_is_not_told_to_trace_does_not() {
    drop(traced(2));
    let runtime = Builder::new().workers(2).on_drop(OnDrop::Cancel).build().unwrap();
    runtime.when((), |()| trace::name("nothing to name")).wait().unwrap();
    trace::name("on no worker");
    runtime.wait(Some(LONG)).unwrap();
    assert!(runtime.take_trace().is_empty());
}

#[test]
fn panics_and_erased_behaviors_have_slices() {
    let runtime = traced(1);
    let cown = Cown::new(1);
    drop(runtime.when(&cown, |_| -> () { panic!("on purpose") }));
    drop(runtime.when((), move |()| {
        RuntimeRef::current().unwrap().admit().unwrap().schedule(|executor| {
            drop(schedule_erased(executor, &mut [Erased::new(&cown)], Some(()), |_| ()));
        });
    }));
    runtime.quiesce(Some(LONG)).unwrap();
    let events = events(&runtime);
    let names: Vec<_> = of_phase(&events, "X").iter().map(|slice| slice["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 3);
    assert_eq!(names[2], "behavior");
}

#[test]
fn what_is_pinned_has_slices_on_the_track_of_its_thread() {
    let runtime = traced(1);
    let model = Cown::new(0);
    let (window, other) = on_thread("window thread", || {
        let here = runtime.pinned().unwrap();
        let (window, other) = (here.cown(0).unwrap(), here.cown(0).unwrap());
        drop(here.when((&window, read(&model)), |_| thread::sleep(Duration::from_millis(3))));
        drop(here.when(&other, |_| trace::name("second")));
        drop(here.when((), |()| -> () { panic!("on purpose") }));
        drop(runtime.when((), |()| trace::name("on the worker")));
        thread::sleep(Duration::from_millis(5));
        runtime.quiesce(Some(LONG)).unwrap();
        (window.id().get(), other.id().get())
    });
    // One without a name has a track too.
    let nameless = thread::scope(|scope| {
        let there = scope.spawn(|| {
            let here = runtime.pinned().unwrap();
            here.when((), |()| trace::name("third")).wait().unwrap();
            format!("pinned to {:?}", thread::current().id())
        });
        there.join().unwrap()
    });
    runtime.quiesce(Some(LONG)).unwrap();

    let events = events(&runtime);
    assert_eq!(of_phase(&events, "M").len(), 3);
    let on = |name: &str| {
        let track = track(&events, name);
        of_phase(&events, "X").into_iter().filter(|slice| slice["tid"] == track).collect::<Vec<_>>()
    };
    let [first, second, panicked] = on("pinned to window thread")[..] else { panic!("{events:?}") };
    let closure = first["name"].as_str().unwrap();
    assert!(closure.contains("what_is_pinned_has_slices") && closure.ends_with("{{closure}}"), "{closure}");
    assert!(number(first, "dur") >= 3000.0);
    assert!(number(&first["args"], "waited_us") >= 5000.0);
    let cowns: Vec<_> = first["args"]["cowns"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    assert_eq!(cowns, [format!("{window:#x}"), format!("read {:#x}", model.id().get())]);
    assert_eq!((&second["name"], &second["args"]["cowns"][0]), (&"second".into(), &format!("{other:#x}").into()));
    assert!(panicked["name"].as_str().unwrap().contains("{{closure}}"));
    for (track, name) in [("worker 0", "on the worker"), (&nameless, "third")] {
        let [only] = on(track)[..] else { panic!("{track}") };
        assert_eq!(only["name"], name);
    }
}

#[test]
fn arrows_lead_to_what_is_pinned_and_from_it() {
    const CHAIN: usize = 200;
    for workers in 1..=2 {
        let runtime = traced(workers);
        let here = runtime.pinned().unwrap();
        let cown = Cown::new(0);
        let (go, gone) = mpsc::channel::<()>();
        drop(runtime.when(&cown, move |_| {
            _ = gone.recv_timeout(LONG);
            trace::name("0");
        }));
        // From and to workers and this thread, in each of the four ways.
        for i in 1..=CHAIN {
            let body = move || trace::name(i.to_string());
            let pinned = i % 4 < 2;
            drop(if pinned { here.when(&cown, move |_| body()) } else { runtime.when(&cown, move |_| body()) });
        }
        drop(go);
        runtime.quiesce(Some(LONG)).unwrap();
        // In blocks that are used again, with no hand-over.
        for _ in 0..CHAIN {
            drop(here.when(&Cown::new(0), |_| trace::name("free")));
        }
        runtime.quiesce(Some(LONG)).unwrap();

        let events = events(&runtime);
        assert_eq!(of_phase(&events, "X").len(), 1 + 2 * CHAIN);
        let mut led: Vec<(usize, usize)> =
            arrows(&events).into_iter().map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap())).collect();
        led.sort_unstable();
        assert!(led.into_iter().eq((0..CHAIN).map(|i| (i, i + 1))), "{workers} workers");
    }
}

#[test]
fn each_thread_keeps_as_much_as_was_told_of_what_is_pinned_to_it() {
    let runtime = Builder::new().workers(1).trace(10).build().unwrap();
    let pump = |times: usize| {
        let here = runtime.pinned().unwrap();
        let cown = Cown::new(0);
        for _ in 0..times {
            drop(here.when(&cown, |_| ()));
        }
        runtime.quiesce(Some(LONG)).unwrap();
    };
    on_thread("one", || pump(25));
    on_thread("two", || pump(12));
    let trace = runtime.take_trace();
    assert_eq!((trace.len(), trace.dropped()), (20, 17));
    on_thread("three", || pump(1));
    let events = events(&runtime);
    assert_eq!(of_phase(&events, "M").len(), 2, "tracks go with the trace that tells of them");
    assert_eq!(of_phase(&events, "X")[0]["tid"], track(&events, "pinned to three"));
}

#[test]
fn a_body_that_pumps_while_it_waits_keeps_its_own_slice() {
    // Dropping another runtime in a pinned body runs what is pinned there, and here.
    let runtime = traced(1);
    let here = runtime.pinned().unwrap();
    let inner = [traced(1), Builder::new().workers(1).build().unwrap()];
    let pins = inner.each_ref().map(|inner| inner.pinned().unwrap());
    drop(here.when((), move |()| {
        let [one, two] = inner;
        for (runtime, pinned) in [one, two].into_iter().zip(&pins) {
            trace::name("outer");
            drop(pinned.when((), |()| trace::name("inner")));
            let mut json = Vec::new();
            runtime.quiesce(Some(LONG)).unwrap();
            runtime.take_trace().write(&mut json).unwrap();
            assert!(!String::from_utf8(json).unwrap().contains("outer"));
            drop(runtime);
        }
    }));
    drop(here.when((), |()| trace::name("sibling")));
    runtime.quiesce(Some(LONG)).unwrap();
    let events = events(&runtime);
    let mut names: Vec<_> = of_phase(&events, "X").iter().map(|slice| slice["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["outer", "sibling"]);
}

#[test]
fn no_arrow_leads_from_what_another_runtime_ran() {
    let (runtime, other) = (traced(1), traced(1));
    let (here, there) = (runtime.pinned().unwrap(), other.pinned().unwrap());
    let cown = Cown::new(0);
    let (go, gone) = mpsc::channel::<()>();
    drop(other.when(&cown, move |_| _ = gone.recv_timeout(LONG)));
    // From the other's worker, from what is pinned for it, and from a guard that no behavior has.
    drop(runtime.when(&cown, |_| ()));
    drop(there.when(&cown, |_| ()));
    drop(runtime.when(&cown, |_| ()));
    drop(there.when(&cown, |_| ()));
    let held = acquire(&cown);
    drop(here.when(&cown, |_| ()));
    drop(go);
    drop(held.wait());
    runtime.quiesce(Some(LONG)).unwrap();
    other.quiesce(Some(LONG)).unwrap();
    for (runtime, slices) in [(&runtime, 3), (&other, 3)] {
        let events = events(runtime);
        assert_eq!(of_phase(&events, "X").len(), slices);
        assert!(arrows(&events).is_empty());
    }
}
