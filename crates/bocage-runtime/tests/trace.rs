//! What a trace tells, read back as Perfetto would read it.
#![cfg(all(not(loom), feature = "trace"))]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bocage_core::{Cown, Erased, read, schedule_erased};
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
        let at = |event: &Value| {
            let within = |slice: &&&Value| {
                let (begin, dur) = (number(slice, "ts"), number(slice, "dur"));
                let ts = number(event, "ts");
                slice["tid"] == event["tid"] && begin <= ts && ts <= begin + dur + 0.001
            };
            // Where two touch it is the one that begins there, as an arrow's end binds to it.
            slices.iter().rfind(within).unwrap_or_else(|| panic!("{event} is in no slice"))["name"].as_str().unwrap()
        };
        let (from, to) = (of_phase(&events, "s"), of_phase(&events, "f"));
        assert_eq!((from.len(), to.len()), (2 * CHAIN, 2 * CHAIN), "{workers} workers");
        for (from, to) in from.into_iter().zip(to) {
            assert_eq!(from["id"], to["id"]);
            assert!(number(from, "ts") <= number(to, "ts"));
            let (from, to) = (at(from), at(to));
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
