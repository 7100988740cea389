//! Several writers and readers at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use bocage_noticeboard::{Board, Change, Snapshot};

const LIMIT: Option<Duration> = Some(Duration::from_secs(60));

#[test]
fn each_sender_is_applied_in_its_own_order() {
    const SENDERS: usize = 8;
    const EACH: usize = 5_000;
    let board = Arc::new(Board::<Vec<(usize, usize)>>::new());
    let together = Arc::new(Barrier::new(SENDERS));
    let senders = (0..SENDERS).map(|sender| {
        let (board, together) = (Arc::clone(&board), Arc::clone(&together));
        thread::spawn(move || {
            together.wait();
            for turn in 0..EACH {
                board
                    .update("log", move |old| {
                        // The writer alone holds the log, bar the versions before.
                        let mut log = old.map_or_else(Vec::new, |old| (**old).clone());
                        if log.len() == 512 {
                            log.clear();
                        }
                        if let Some((_, last)) = log.iter().rev().find(|(of, _)| *of == sender) {
                            assert!(*last < turn, "{sender}: {turn} after {last}");
                        }
                        log.push((sender, turn));
                        Ok(Change::Set(Arc::new(log)))
                    })
                    .unwrap();
            }
            // Sent last by this thread, so it is there only if all before are.
            board.update(&format!("done {sender}"), |_| Ok(Change::Set(Arc::new(vec![])))).unwrap();
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.join().unwrap();
    }
    let end = board.flush(LIMIT).unwrap();
    // Each update made one version: none failed its assertion, none was lost or done twice.
    assert_eq!(end.version(), (SENDERS * EACH + SENDERS) as u64);
    assert_eq!(end.len(), SENDERS + 1);
}

#[test]
fn readers_see_whole_versions_that_never_go_back() {
    const PAIRS: u64 = 20_000;
    let board = Arc::new(Board::<u64>::new());
    for side in ["left", "right"] {
        board.seed(side, Arc::new(0)).unwrap();
    }
    let over = Arc::new(AtomicBool::new(false));
    let readers = (0..3).map(|_| {
        let (board, over) = (Arc::clone(&board), Arc::clone(&over));
        thread::spawn(move || {
            let mut last: Option<Snapshot<u64>> = None;
            // Acquire: pairs with the Release below, so that one look comes after the last write.
            while !over.load(Ordering::Acquire) {
                let seen = board.snapshot();
                let (left, right) = (**seen.value("left").unwrap(), **seen.value("right").unwrap());
                // "left" is written before "right": a snapshot has both or the first of a pair.
                assert!(left == right || left == right + 1, "{left} {right}");
                assert_eq!(seen.version(), 2 + left + right);
                if let Some(last) = &last {
                    assert!(last.version() <= seen.version());
                }
                last = Some(seen);
            }
        })
    });
    let readers = readers.collect::<Vec<_>>();
    for turn in 1..=PAIRS {
        board.write("left", Arc::new(turn)).unwrap();
        board.write("right", Arc::new(turn)).unwrap();
    }
    let end = board.flush(LIMIT).unwrap();
    assert_eq!(end.version(), 2 + 2 * PAIRS);
    over.store(true, Ordering::Release);
    for reader in readers {
        reader.join().unwrap();
    }
}

#[test]
fn what_a_thread_hears_of_from_another_is_on_the_board_already() {
    let board = Arc::new(Board::<u64>::new());
    for turn in 0..2_000 {
        let other = Arc::clone(&board);
        // The other thread flushes, then ends; joining it is how this one hears of it.
        thread::spawn(move || {
            other.write("turn", Arc::new(turn)).unwrap();
            other.flush(LIMIT).unwrap();
        })
        .join()
        .unwrap();
        assert_eq!(board.value("turn").as_deref(), Some(&turn));
    }
}

#[test]
fn a_flush_waits_for_what_was_sent_and_not_for_what_comes_after() {
    let board = Board::<u64>::new();
    board.write("a", Arc::new(1)).unwrap();
    let flush = board.begin_flush().unwrap();
    board.write("a", Arc::new(2)).unwrap();
    let later = board.flush(LIMIT).unwrap();
    assert_eq!(later.value("a").map(|value| **value), Some(2));
    let earlier = flush.wait(LIMIT).unwrap();
    assert_eq!(earlier.value("a").map(|value| **value), Some(1));
}
