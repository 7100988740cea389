//! Typed values, and snapshots saved, loaded and shown.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bocage_noticeboard::{Board, Builder, Encoded, Error, Snapshot, Viewer};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle { radius: f64 },
    Many(BTreeMap<String, Option<i128>>),
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Dot),
        (-1e300..1e300).prop_map(|radius| Shape::Circle { radius }),
        prop::collection::btree_map(".{0,8}", any::<Option<i128>>(), 0..6).prop_map(Shape::Many),
    ]
}

fn board_of(shapes: &[Shape]) -> Board<Encoded> {
    let board = Board::new();
    for (at, shape) in shapes.iter().enumerate() {
        board.put(&format!("shape {at}"), shape).unwrap();
    }
    board
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_put_is_read_saved_and_loaded(shapes in prop::collection::vec(shapes(), 0..8)) {
        let seen = board_of(&shapes).flush(None).unwrap();
        let mut file = Vec::new();
        seen.save(&mut file).unwrap();
        let loaded = Snapshot::load(&*file).unwrap();
        prop_assert_eq!(loaded.version(), seen.version());
        for snapshot in [&seen, &loaded] {
            prop_assert_eq!(snapshot.len(), shapes.len());
            for (at, shape) in shapes.iter().enumerate() {
                let got = snapshot.get::<Shape>(&format!("shape {at}")).unwrap();
                prop_assert_eq!(got.as_ref(), Some(shape));
            }
        }
    }

    /// However a file is damaged: an error, or a snapshot of the board's own rules; never a panic.
    #[test]
    fn a_damaged_file_is_an_error(
        shapes in prop::collection::vec(shapes(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut file = Vec::new();
        board_of(&shapes).flush(None).unwrap().save(&mut file).unwrap();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if cuts {
            file.truncate(cut.index(file.len()));
            prop_assert!(Snapshot::load(&*file).is_err());
        } else if let Ok(loaded) = Snapshot::load(&*file) {
            prop_assert!(loaded.len() <= 64);
            for (key, _) in loaded.iter() {
                prop_assert!(loaded.contains(key.as_str()));
                let _ = loaded.get::<Shape>(key.as_str());
            }
            loaded.show(&Viewer::default().with::<Shape>());
        }
    }
}

#[test]
fn a_value_read_as_another_type_is_an_error_that_names_both() {
    let board = Board::new();
    board.put("n", &-1_i64).unwrap();
    let seen = board.flush(None).unwrap();
    let error = seen.get::<u64>("n").unwrap_err();
    assert_eq!(error.to_string(), "the value is a i64, and was read as a u64");
    assert_eq!(seen.get::<i64>("n").unwrap(), Some(-1));
    assert_eq!(seen.get::<u64>("nothing").unwrap(), None);
}

#[test]
fn a_change_of_the_wrong_type_leaves_the_value_and_warns() {
    let warned = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&warned);
    let board =
        Builder::new().on_warning(move |warning| heard.lock().unwrap().push(warning.to_string())).start().unwrap();
    board.seed_with("n", &1_i64).unwrap();
    board.change("n", |_: Option<String>| Some(String::new())).unwrap();
    board.change("n", |n: Option<i64>| n.map(|n| n + 1)).unwrap();
    assert_eq!(board.flush(None).unwrap().get::<i64>("n").unwrap(), Some(2));
    board.change("n", |_: Option<i64>| None).unwrap();
    assert!(board.flush(None).unwrap().is_empty());
    let warned = warned.lock().unwrap();
    assert_eq!(warned.len(), 1);
    assert!(warned[0].contains("\"n\"") && warned[0].contains("i64"), "{warned:?}");
}

#[test]
fn a_board_goes_on_from_a_loaded_snapshot() {
    let mut file = Vec::new();
    let before = Board::new();
    before.put("n", &1_u8).unwrap();
    before.flush(None).unwrap().save(&mut file).unwrap();
    let after = Builder::new().first(Snapshot::load(&*file).unwrap()).start().unwrap();
    after.change("n", |n: Option<u8>| n.map(|n| n + 1)).unwrap();
    let seen = after.flush(None).unwrap();
    assert_eq!(seen.get::<u8>("n").unwrap(), Some(2));
    assert_eq!(seen.version(), 2);
}

#[test]
fn a_snapshot_is_shown_a_line_a_key() {
    let board = Board::new();
    board.put("b", &vec![1.5, 2.0]).unwrap();
    board.put("a", &"text".to_owned()).unwrap();
    board.put("c", &Shape::Dot).unwrap();
    let seen = board.flush(None).unwrap();
    assert_eq!(
        seen.show(&Viewer::default()),
        "a: alloc::string::String = \"text\"\n\
         b: alloc::vec::Vec<f64> = [1.5, 2.0]\n\
         c: typed::Shape (1 bytes)\n"
    );
    let viewer = Viewer::default().with::<Shape>();
    assert!(seen.show(&viewer).ends_with("c: typed::Shape = Dot\n"));
}

#[test]
fn what_is_no_snapshot_is_refused() {
    for bytes in [&b""[..], b"bocage", b"bocage-board v2\n\0\0", b"bocage-board v1\n"] {
        assert!(matches!(Snapshot::load(bytes), Err(Error::NotASnapshot { .. })));
    }
}
