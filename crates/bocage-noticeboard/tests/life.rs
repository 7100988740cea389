//! Starting, failing and ending.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bocage_noticeboard::{Board, Builder, Change, Error, Warning};

const LIMIT: Duration = Duration::from_secs(60);

type Call<'a> = &'a dyn Fn(&str) -> Result<(), Error>;

fn set(value: u32) -> Result<Change<u32>, bocage_noticeboard::Failure> {
    Ok(Change::Set(Arc::new(value)))
}

#[test]
fn hooks_and_updates_run_on_one_named_thread() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let seen = Arc::clone(&seen);
        move || {
            let thread = thread::current();
            let name = thread.name().unwrap_or_default().to_owned();
            seen.lock().unwrap().push((what, name, thread.id()));
        }
    };
    let (start, stop, update) = (note("start"), note("stop"), note("update"));
    let board = Builder::<u32>::new()
        .thread_name("the writer")
        .on_start(move || {
            start();
            Ok(())
        })
        .on_stop(stop)
        .start()
        .unwrap();
    let sent = board.update("a", move |_| {
        update();
        set(1)
    });
    sent.unwrap();
    drop(board);
    let seen = seen.lock().unwrap();
    let order = seen.iter().map(|(what, ..)| *what).collect::<Vec<_>>();
    assert_eq!(order, ["start", "update", "stop"]);
    assert!(seen.iter().all(|(_, name, id)| name == "the writer" && *id == seen[0].2));
    assert_ne!(seen[0].2, thread::current().id());
}

#[test]
fn a_start_hook_that_fails_or_panics_is_the_error_of_start() {
    let (heard, stopped) = channel::<()>();
    let failed = Builder::<u32>::new()
        .on_start(|| Err("no interpreter".into()))
        .on_stop(move || heard.send(()).unwrap())
        .start();
    assert!(matches!(failed, Err(Error::Start(why)) if why.to_string() == "no interpreter"));
    assert!(stopped.recv().is_err(), "the stop hook ran");

    let panicked = Builder::<u32>::new().on_start(|| std::panic::resume_unwind(Box::new("ouch".to_owned()))).start();
    assert!(matches!(panicked, Err(Error::Start(why)) if why.to_string() == "ouch"));
}

#[test]
fn dropping_a_board_applies_what_was_sent() {
    let (done, count) = channel();
    let board = Board::<u32>::new();
    for turn in 0..1_000 {
        let done = done.clone();
        let sent = board.update("a", move |_| {
            done.send(turn).unwrap();
            set(turn)
        });
        sent.unwrap();
    }
    drop(board);
    assert!(count.try_iter().eq(0..1_000));
}

#[test]
fn a_flush_that_times_out_loses_nothing_and_can_be_waited_for_again() {
    let board = Board::<u32>::new();
    let (go, gate) = channel::<()>();
    let sent = board.update("a", move |_| {
        gate.recv_timeout(LIMIT)?;
        set(1)
    });
    sent.unwrap();
    board.write("b", Arc::new(2)).unwrap();
    let flush = board.begin_flush().unwrap();
    let short = Some(Duration::from_millis(5));
    assert!(matches!(flush.wait(short), Err(Error::TimedOut { .. })));
    assert!(matches!(board.flush(short), Err(Error::TimedOut { .. })));
    assert!(board.snapshot().is_empty());
    go.send(()).unwrap();
    let seen = flush.wait(Some(LIMIT)).unwrap();
    assert_eq!(seen.len(), 2);
    assert!(matches!(flush.wait(Some(LIMIT)), Err(Error::WriterGone)));
}

#[test]
fn close_gives_up_in_time_and_the_writer_still_drains() {
    let (go, gate) = channel::<()>();
    let (stop, stopped) = channel::<u32>();
    let total = Arc::new(Mutex::new(0));
    let board = Builder::<u32>::new()
        .on_stop({
            let total = Arc::clone(&total);
            move || stop.send(*total.lock().unwrap()).unwrap()
        })
        .start()
        .unwrap();
    let sent = board.update("a", move |_| {
        gate.recv_timeout(LIMIT)?;
        set(1)
    });
    sent.unwrap();
    let sent = board.update("a", move |old| {
        *total.lock().unwrap() += **old.unwrap();
        set(2)
    });
    sent.unwrap();
    let closed = board.close(Duration::from_millis(5));
    assert!(matches!(closed, Err(Error::TimedOut { .. })));
    go.send(()).unwrap();
    assert_eq!(stopped.recv_timeout(LIMIT), Ok(1));

    assert!(Board::<u32>::new().close(LIMIT).is_ok());
}

#[test]
fn waiting_for_the_writer_on_its_own_thread_is_refused() {
    let board = Arc::new(Board::<u32>::new());
    let (send, outcomes) = channel();
    let inner = Arc::clone(&board);
    let sent = board.update("a", move |_| {
        send.send(inner.seed("b", Arc::new(1)))?;
        send.send(inner.flush(None).map(|_| ()))?;
        send.send(inner.write("c", Arc::new(3)))?; // sending is fine
        set(1)
    });
    sent.unwrap();
    for _ in 0..2 {
        let outcome = outcomes.recv_timeout(LIMIT).unwrap();
        assert!(matches!(outcome, Err(Error::OnWriterThread)));
    }
    // Only now is it sure to be in line before the flush.
    assert!(outcomes.recv_timeout(LIMIT).unwrap().is_ok());
    let seen = board.flush(Some(LIMIT)).unwrap();
    assert!(seen.contains("c") && !seen.contains("b"));
}

#[test]
fn an_update_may_own_the_last_handle_of_its_board() {
    let (stop, stopped) = channel();
    let warned = Arc::new(Mutex::new(0));
    let board = Builder::<u32>::new()
        .on_warning({
            let warned = Arc::clone(&warned);
            move |_| *warned.lock().unwrap() += 1
        })
        .on_stop(move || stop.send(*warned.lock().unwrap()).unwrap())
        .start()
        .unwrap();
    let board = Arc::new(board);
    let (go, gate) = channel::<()>();
    let inner = Arc::clone(&board);
    let sent = board.update("a", move |_| {
        gate.recv_timeout(LIMIT)?;
        drop(inner); // by now it is the last one
        set(1)
    });
    sent.unwrap();
    drop(board);
    go.send(()).unwrap();
    assert_eq!(stopped.recv_timeout(LIMIT), Ok(0));
}

#[test]
fn nothing_of_a_user_that_panics_ends_the_writer() {
    #[derive(Debug)]
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("a destructor"));
        }
    }
    let board = Builder::new()
        .on_warning(|_: &Warning| std::panic::resume_unwind(Box::new("a callback")))
        .on_stop(|| std::panic::resume_unwind(Box::new("a hook")))
        .start()
        .unwrap();
    for turn in 1..=3_u64 {
        board.write("bomb", Arc::new(Some(Bomb))).unwrap();
        board.write("bomb", Arc::new(None)).unwrap(); // the bomb goes off on the writer's thread
        board.update("bomb", |_| Err("the callback hears of it".into())).unwrap();
        let seen = board.flush(Some(LIMIT)).unwrap();
        assert_eq!(seen.version(), 2 * turn);
        assert!(matches!(seen.value("bomb").map(|value| &**value), Some(None)));
    }
    board.close(LIMIT).unwrap();
}

#[test]
fn a_bad_key_is_refused_at_the_call() {
    let board = Board::<u32>::new();
    let long = "x".repeat(64);
    let calls: [Call<'_>; 4] = [
        &|key| board.write(key, Arc::new(1)),
        &|key| board.update(key, |_| set(1)),
        &|key| board.delete(key),
        &|key| board.seed(key, Arc::new(1)),
    ];
    for call in calls {
        assert!(matches!(call(&long), Err(Error::KeyTooLong { .. })));
        assert!(matches!(call("a\0"), Err(Error::KeyHasNul { .. })));
    }
    assert_eq!(board.flush(Some(LIMIT)).unwrap().version(), 0);
}

#[test]
fn a_value_lives_as_long_as_a_snapshot_has_it_and_no_longer() {
    let board = Board::<u32>::new();
    let value = Arc::new(7);
    let watch = Arc::downgrade(&value);
    board.seed("a", value).unwrap();
    let held = board.snapshot();
    board.delete("a").unwrap();
    board.flush(Some(LIMIT)).unwrap();
    assert_eq!(watch.upgrade().as_deref(), Some(&7));
    drop(held);
    // The flush came after the delete, so the writer holds no older version.
    assert!(watch.upgrade().is_none());
}
