//! Every operation against the plainest way to write it, over random shapes and elements.

use bocage_matrix::{Axis, Binary, Error, Matrix, Operand, Picks, Reduction, Shape, Span, Unary};
use proptest::collection::vec;
use proptest::prelude::*;

const OPERATIONS: [Binary; 4] = [Binary::Add, Binary::Subtract, Binary::Multiply, Binary::Divide];

fn naive(operation: Binary, x: f64, y: f64) -> f64 {
    match operation {
        Binary::Add => x + y,
        Binary::Subtract => x - y,
        Binary::Multiply => x * y,
        Binary::Divide => x / y,
    }
}

fn shape(rows: usize, columns: usize) -> Shape {
    Shape::new(rows, columns).unwrap()
}

/// Elements of all kinds: ordinary ones, zeros of both signs, infinities, NaN.
fn element() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -1e3..1e3_f64,
        1 => Just(0.0),
        1 => Just(-0.0),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        1 => Just(f64::NAN),
    ]
}

fn of_shape(shape: Shape) -> impl Strategy<Value = Matrix> {
    vec(element(), shape.len()).prop_map(move |elements| Matrix::from_slice(shape, &elements).unwrap())
}

fn any_matrix() -> impl Strategy<Value = Matrix> {
    (1..40_usize, 1..70_usize).prop_flat_map(|(rows, columns)| of_shape(shape(rows, columns)))
}

/// Two matrices of which each axis agrees or has a 1 on either side.
fn broadcasting_pair() -> impl Strategy<Value = (Matrix, Matrix)> {
    let ends = |n: usize| prop_oneof![Just((n, n)), Just((1, n)), Just((n, 1))];
    (1..12_usize, 1..40_usize)
        .prop_flat_map(move |(rows, columns)| (ends(rows), ends(columns)))
        .prop_flat_map(|((r1, r2), (c1, c2))| (of_shape(shape(r1, c1)), of_shape(shape(r2, c2))))
}

fn at(matrix: &Matrix, row: usize, column: usize) -> f64 {
    let row = if matrix.rows() == 1 { 0 } else { row };
    let column = if matrix.columns() == 1 { 0 } else { column };
    matrix.as_slice()[row * matrix.columns() + column]
}

/// Equal to the bit, all NaNs alike.
fn same(x: f64, y: f64) -> bool {
    x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan()
}

#[track_caller]
fn assert_same(left: &Matrix, right: &Matrix) {
    assert_eq!(left.shape(), right.shape());
    let pairs = left.as_slice().iter().zip(right.as_slice());
    for (position, (&l, &r)) in pairs.enumerate() {
        assert!(same(l, r), "element {position}: {l} against {r}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn binary_operations_broadcast((left, right) in broadcasting_pair()) {
        for operation in OPERATIONS {
            let result = Matrix::binary(operation, &left, &right).unwrap();
            let whole = left.shape().broadcast(right.shape()).unwrap();
            let expected = Matrix::from_fn(whole, |i, j| {
                naive(operation, at(&left, i, j), at(&right, i, j))
            })
            .unwrap();
            assert_same(&result, &expected);

            let mut out = Matrix::full(whole, 7.0).unwrap();
            let before = out.as_ptr();
            Matrix::binary_into(operation, &left, &right, &mut out).unwrap();
            assert_same(&out, &expected);
            prop_assert_eq!(out.as_ptr(), before);

            let mut over_left = left.copy().unwrap();
            let mut over_right = right.copy().unwrap();
            let forward = over_left.apply(operation, &right);
            let backward = over_right.apply_reversed(operation, &left);
            prop_assert_eq!(forward.is_ok(), left.shape() == whole);
            prop_assert_eq!(backward.is_ok(), right.shape() == whole);
            assert_same(&over_left, if forward.is_ok() { &expected } else { &left });
            assert_same(&over_right, if backward.is_ok() { &expected } else { &right });
        }
    }

    #[test]
    fn a_number_is_a_matrix_of_it(matrix in any_matrix(), number in element()) {
        let repeated = Matrix::full(matrix.shape(), number).unwrap();
        for operation in OPERATIONS {
            let right = Matrix::binary(operation, &matrix, number).unwrap();
            assert_same(&right, &Matrix::binary(operation, &matrix, &repeated).unwrap());
            let left = Matrix::binary(operation, number, &matrix).unwrap();
            assert_same(&left, &Matrix::binary(operation, &repeated, &matrix).unwrap());

            let mut over = matrix.copy().unwrap();
            over.apply_itself(operation);
            assert_same(&over, &Matrix::binary(operation, &matrix, &matrix).unwrap());
        }
    }

    #[test]
    fn unary_operations(matrix in any_matrix()) {
        for (operation, f) in [
            (Unary::Negate, (|x| -x) as fn(f64) -> f64),
            (Unary::Abs, f64::abs),
        ] {
            let expected =
                Matrix::from_fn(matrix.shape(), |i, j| f(at(&matrix, i, j))).unwrap();
            assert_same(&matrix.unary(operation).unwrap(), &expected);
            let mut out = Matrix::zeros(matrix.shape()).unwrap();
            matrix.unary_into(operation, &mut out).unwrap();
            assert_same(&out, &expected);
            let mut over = matrix.copy().unwrap();
            over.apply_unary(operation);
            assert_same(&over, &expected);
        }
    }

    #[test]
    fn matmul_is_the_sum_of_products(
        m in 1..20_usize,
        k in 1..20_usize,
        n in 1..20_usize,
        seed in vec(-50..50_i32, 40),
    ) {
        // Small whole numbers: every order of addition gives the same, exact result.
        let pick = |i: usize, j: usize| f64::from(seed[(7 * i + 13 * j) % seed.len()]);
        let left = Matrix::from_fn(shape(m, k), pick).unwrap();
        let right = Matrix::from_fn(shape(k, n), |i, j| pick(j, i + 1)).unwrap();
        let expected = Matrix::from_fn(shape(m, n), |i, j| {
            (0..k).map(|x| at2(&left, i, x) * at2(&right, x, j)).sum()
        })
        .unwrap();
        prop_assert_eq!(&left.matmul(&right).unwrap(), &expected);
        let mut out = Matrix::full(shape(m, n), f64::NAN).unwrap();
        left.matmul_into(&right, &mut out).unwrap();
        prop_assert_eq!(&out, &expected);
    }

    #[test]
    fn sums_stay_within_their_error_bound(
        rows in 1..600_usize,
        columns in 1..40_usize,
        scale in -8..8_i32,
        seed in any::<u64>(),
    ) {
        let mut state = seed | 1;
        let matrix = Matrix::from_fn(shape(rows, columns), |_, _| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let unit = (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.3;
            unit * 2.0_f64.powi(scale * ((state >> 5) % 7) as i32)
        })
        .unwrap();
        let check = |sum: f64, terms: &[f64]| {
            let exact = exact_sum(terms);
            let size: f64 = terms.iter().map(|x| x.abs()).sum();
            let n = terms.len() as f64;
            let roundings = 12.0 + (n / 128.0).log2().max(0.0).ceil() + 1.0;
            let bound = roundings * f64::EPSILON / 2.0 * size * 1.01;
            prop_assert!((sum - exact).abs() <= bound, "{sum} for {exact}, bound {bound}");
            Ok(())
        };
        check(matrix.sum(), matrix.as_slice())?;
        let across = matrix.sum_axis(Axis::Across).unwrap();
        for row in 0..rows {
            check(across.as_slice()[row], matrix.row_slice(row))?;
        }
        let down = matrix.sum_axis(Axis::Down).unwrap();
        for column in 0..columns {
            let terms: Vec<f64> = (0..rows).map(|row| at2(&matrix, row, column)).collect();
            check(down.as_slice()[column], &terms)?;
        }
    }

    #[test]
    fn reductions_under_a_mask(
        (matrix, mask) in (1..40_usize, 1..40_usize).prop_flat_map(|(rows, columns)| {
            let shape = shape(rows, columns);
            let flag = prop_oneof![3 => Just(0.0), 1 => Just(2.0), 1 => Just(f64::NAN)];
            let whole = (-1000..1000_i32).prop_map(f64::from);
            let maybe = prop_oneof![9 => whole, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)];
            (vec(maybe, shape.len()), vec(flag, shape.len())).prop_map(move |(elements, mask)| (
                Matrix::from_slice(shape, &elements).unwrap(),
                Matrix::from_slice(shape, &mask).unwrap(),
            ))
        }),
        masked in any::<bool>(),
    ) {
        let counted = |row: usize, column: usize| {
            (!masked || at2(&mask, row, column) != 0.0).then(|| at2(&matrix, row, column))
        };
        let given = masked.then_some(&mask);
        let (rows, columns) = (matrix.rows(), matrix.columns());
        let each = |row: usize| (0..columns).map(move |column| (row, column));
        for reduction in [Reduction::Sum, Reduction::Mean, Reduction::Min, Reduction::Max] {
            let whole = (0..rows).flat_map(each).filter_map(|(i, j)| counted(i, j));
            let expected = naive_reduction(reduction, whole.collect());
            let result = matrix.reduce(reduction, given).unwrap();
            prop_assert!(same(result, expected), "{reduction:?}: {result} for {expected}");

            let across = matrix.reduce_axis(reduction, Axis::Across, given).unwrap();
            assert_same(&across, &Matrix::from_fn(shape(rows, 1), |row, _| {
                naive_reduction(reduction, each(row).filter_map(|(i, j)| counted(i, j)).collect())
            }).unwrap());

            let down = matrix.reduce_axis(reduction, Axis::Down, given).unwrap();
            assert_same(&down, &Matrix::from_fn(shape(1, columns), |_, column| {
                naive_reduction(
                    reduction,
                    (0..rows).filter_map(|row| counted(row, column)).collect(),
                )
            }).unwrap());
        }
    }

    #[test]
    fn selecting_and_assigning(
        matrix in any_matrix(),
        picks in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..9),
        start in any::<prop::sample::Index>(),
        step in prop_oneof![-5..0_isize, 1..6_isize],
        swap in any::<bool>(),
    ) {
        let list_length = if swap { matrix.columns() } else { matrix.rows() };
        let span_length = if swap { matrix.rows() } else { matrix.columns() };
        let list: Vec<usize> = picks.iter().map(|(index, _)| index.index(list_length)).collect();
        let start = start.index(span_length);
        let most = if step > 0 { span_length - 1 - start } else { start } / step.unsigned_abs() + 1;
        let span = Span { start, step, count: picks[0].1.index(most) + 1 };
        let spanned: Vec<usize> = (0..span.count as isize)
            .map(|i| (start as isize + i * step) as usize)
            .collect();
        let (row_picks, column_picks): (Picks<'_>, Picks<'_>) = if swap {
            (span.into(), list[..].into())
        } else {
            (list[..].into(), span.into())
        };
        let (row_list, column_list) = if swap { (&spanned, &list) } else { (&list, &spanned) };
        let selected = matrix.select(row_picks, column_picks).unwrap();
        let size = shape(row_list.len(), column_list.len());
        assert_same(&selected, &Matrix::from_fn(size, |i, j| {
            at2(&matrix, row_list[i], column_list[j])
        }).unwrap());

        for value in [size, shape(1, size.columns()), shape(size.rows(), 1), shape(1, 1)] {
            let mut count = 0.5;
            let value = Matrix::from_fn(value, |_, _| { count += 1.0; count }).unwrap();
            let mut expected: Vec<f64> = matrix.as_slice().to_vec();
            for (i, &row) in row_list.iter().enumerate() {
                for (j, &column) in column_list.iter().enumerate() {
                    expected[row * matrix.columns() + column] = at(&value, i, j);
                }
            }
            let mut assigned = matrix.copy().unwrap();
            assigned.assign(row_picks, column_picks, &value).unwrap();
            assert_same(&assigned, &Matrix::from_slice(matrix.shape(), &expected).unwrap());
        }
    }

    #[test]
    fn transposing_twice_is_nothing(matrix in any_matrix()) {
        let transposed = matrix.transpose().unwrap();
        assert_same(&transposed, &Matrix::from_fn(matrix.shape().transposed(), |i, j| {
            at2(&matrix, j, i)
        }).unwrap());
        assert_same(&transposed.transpose().unwrap(), &matrix);
        let mut over = matrix.copy().unwrap();
        over.transpose_in_place().unwrap();
        assert_same(&over, &transposed);
    }

    #[test]
    fn concatenation_keeps_every_part(
        sizes in vec(1..9_usize, 1..5),
        common in 1..9_usize,
        down in any::<bool>(),
    ) {
        let mut count = 0.0;
        let parts: Vec<Matrix> = sizes
            .iter()
            .map(|&size| {
                let shape = if down { shape(size, common) } else { shape(common, size) };
                Matrix::from_fn(shape, |_, _| { count += 1.0; count }).unwrap()
            })
            .collect();
        let axis = if down { Axis::Down } else { Axis::Across };
        let all: Vec<&Matrix> = parts.iter().collect();
        let whole = Matrix::concat(&all, axis).unwrap();
        let mut from = 0;
        for part in &parts {
            let size = if down { part.rows() } else { part.columns() };
            let span = Span { start: from, step: 1, count: size };
            let back = if down {
                whole.select(span, Span::all(common))
            } else {
                whole.select(Span::all(common), span)
            };
            assert_same(&back.unwrap(), part);
            from += size;
        }
    }
}

fn at2(matrix: &Matrix, row: usize, column: usize) -> f64 {
    matrix.as_slice()[row * matrix.columns() + column]
}

/// Exact for whole numbers, which is what it is called with.
fn naive_reduction(reduction: Reduction, elements: Vec<f64>) -> f64 {
    let numbers = elements.iter().copied().filter(|x| !x.is_nan());
    match reduction {
        Reduction::Sum => elements.iter().sum::<f64>() + 0.0,
        Reduction::Mean => elements.iter().sum::<f64>() / elements.len() as f64 + 0.0,
        Reduction::Min => numbers.fold(f64::NAN, f64::min),
        Reduction::Max => numbers.fold(f64::NAN, f64::max),
    }
}

/// The sum without rounding errors but the last: Shewchuk's expansion of non-overlapping parts.
fn exact_sum(terms: &[f64]) -> f64 {
    let mut parts: Vec<f64> = Vec::new();
    for &term in terms {
        let mut x = term;
        let mut kept = 0;
        for i in 0..parts.len() {
            let mut y = parts[i];
            if x.abs() < y.abs() {
                std::mem::swap(&mut x, &mut y);
            }
            let high = x + y;
            let low = y - (high - x);
            if low != 0.0 {
                parts[kept] = low;
                kept += 1;
            }
            x = high;
        }
        parts.truncate(kept);
        parts.push(x);
    }
    parts.iter().sum()
}

#[test]
fn a_square_is_transposed_in_its_own_buffer() {
    for n in 1..70 {
        let number = |i: usize, j: usize| (n * i + j) as f64;
        let mut square = Matrix::from_fn(shape(n, n), number).unwrap();
        let place = square.as_ptr();
        square.transpose_in_place().unwrap();
        assert_eq!(square, Matrix::from_fn(shape(n, n), |i, j| number(j, i)).unwrap());
        assert_eq!(square.as_ptr(), place);
    }
}

/// Where a running sum of a million terms is off by thousands of units in the last place.
#[test]
fn a_long_sum_rounds_like_a_tree() {
    for count in [1_000_003, 1 << 20] {
        let column = Matrix::full(shape(count, 1), 0.1).unwrap();
        let exact = exact_sum(column.as_slice());
        let ulp = f64::from_bits(exact.to_bits() + 1) - exact;
        let sums = [column.sum(), column.sum_axis(Axis::Down).unwrap().as_slice()[0]];
        for sum in sums {
            assert!((sum - exact).abs() <= 3.0 * ulp, "{sum} for {exact}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_and_writes_nothing() {
    let a = Matrix::from_rows(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).unwrap();
    let b = Matrix::full(shape(3, 2), 1.0).unwrap();
    let mut out = Matrix::full(shape(2, 2), 9.0).unwrap();
    let text = |error: Error| error.to_string();

    assert_eq!(text(a.add(&b).unwrap_err()), "add: shapes 2x3 and 3x2 do not broadcast");
    assert_eq!(text(a.matmul(&a).unwrap_err()), "cannot multiply 2x3 by 2x3: 3 columns against 2 rows");
    assert_eq!(
        text(Matrix::binary_into(Binary::Add, &a, 1.0, &mut out).unwrap_err()),
        "out has shape 2x2, but has to be 2x3"
    );
    let mut row = Matrix::row(&[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(
        text(row.apply(Binary::Add, &a).unwrap_err()),
        "add: the result of shapes 1x3 and 2x3 is 2x3, too large to be written in place"
    );
    assert_eq!(text(b.matmul_into(&a, &mut out).unwrap_err()), "out has shape 2x2, but has to be 3x3");
    assert_eq!(text(a.reduce(Reduction::Sum, Some(&b)).unwrap_err()), "mask has shape 3x2, but has to be 2x3");
    assert_eq!(
        text(out.assign(Span::all(2), Span::all(2), &a).unwrap_err()),
        "assign: shapes 2x2 and 2x3 do not broadcast"
    );
    assert_eq!(out, Matrix::full(shape(2, 2), 9.0).unwrap());

    assert_eq!(text(a.get(2, 0).unwrap_err()), "row index 2 is out of range for 2 rows");
    assert_eq!(text(a.get(0, -4).unwrap_err()), "column index -4 is out of range for 3 columns");
    assert_eq!(text(Matrix::from_slice(shape(2, 2), &[1.0]).unwrap_err()), "a 2x2 matrix takes 4 values, not 1");
    assert!(matches!(Shape::new(0, 3), Err(Error::Empty { .. })));
    assert!(matches!(Shape::new(usize::MAX, 2), Err(Error::TooLarge { .. })));
    assert!(matches!(Axis::from_number(2), Err(Error::Axis { axis: 2 })));
}

#[test]
fn a_span_out_of_range_is_refused_however_it_leaves_it() {
    let a = Matrix::zeros(shape(4, 4)).unwrap();
    let spans = [(0, 1, 5), (4, 1, 1), (3, -1, 5), (1, isize::MAX, 3), (3, isize::MIN, 3)];
    for (start, step, count) in spans {
        let span = Span { start, step, count };
        assert!(matches!(a.select(span, Span::all(4)), Err(Error::Index { .. })), "{span:?}");
    }
    let nothing = Span { start: 0, step: 1, count: 0 };
    assert_eq!(a.select(Span::all(4), nothing).unwrap_err(), Error::NothingPicked { axis: Axis::Across });
}

#[test]
fn more_memory_than_there_is_is_an_error() {
    let huge = shape(1 << 30, 1 << 29);
    assert!(matches!(Matrix::zeros(huge), Err(Error::Memory { .. })));
}

#[test]
fn buffers_are_aligned_and_stay_where_they_are_when_moved() {
    for columns in 1..50 {
        let matrix = Matrix::zeros(shape(3, columns)).unwrap();
        let place = matrix.as_ptr() as usize;
        assert_eq!(place % 64, 0);
        let moved = std::thread::spawn(move || matrix).join().unwrap();
        assert_eq!(moved.as_ptr() as usize, place);
    }
}

#[test]
fn order_is_decided_by_the_first_difference() {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let row = |elements: &[f64]| Matrix::row(elements).unwrap();
    let a = row(&[1.0, f64::NAN, 3.0]);
    assert_eq!(a.lexicographic(&row(&[1.0, 9.0, 4.0])).unwrap(), Less);
    assert_eq!(a.lexicographic(&row(&[1.0, 9.0, 3.0])).unwrap(), Equal);
    assert_eq!(a.lexicographic(&row(&[0.0, 9.0, 9.0])).unwrap(), Greater);
    assert_eq!(a.lexicographic(1.0).unwrap(), Greater);
    assert_eq!(a.lexicographic(Operand::Scalar(2.0)).unwrap(), Less);
    assert!(a.lexicographic(&row(&[1.0])).is_err());
    assert_ne!(a, a.copy().unwrap());
}

#[test]
fn closeness() {
    let row = |elements: &[f64]| Matrix::row(elements).unwrap();
    let a = row(&[1.0, f64::INFINITY, f64::NAN]);
    assert!(a.allclose(&row(&[1.0 + 1e-6, f64::INFINITY, f64::NAN]), 1e-5, 1e-8, true));
    assert!(!a.allclose(&a, 1e-5, 1e-8, false));
    assert!(!a.allclose(&row(&[1.0, f64::NEG_INFINITY, f64::NAN]), 1e-5, 1e-8, true));
    assert!(!a.allclose(&row(&[1.1, f64::INFINITY, f64::NAN]), 1e-5, 1e-8, true));
    assert!(!row(&[1.0]).allclose(&row(&[1.0, 1.0]), 1.0, 1.0, true));
}

#[test]
fn the_printed_form() {
    let show = |rows: &[[f64; 2]]| Matrix::from_rows(rows).unwrap().to_string();
    assert_eq!(show(&[[1.0, 2.0], [30.0, -4.0]]), "[[ 1.  2.]\n [30. -4.]]");
    assert_eq!(show(&[[1.0, 2.5]]), "[[1.0 2.5]]");
    assert_eq!(show(&[[1.0 / 3.0, f64::NAN]]), "[[0.33333333        nan]]");
    assert_eq!(show(&[[1e100, 1.5]]), "[[1.0e+100  1.5e+00]]");
    assert_eq!(show(&[[1e-9, 0.0]]), "[[1.e-09 0.e+00]]");
    assert_eq!(show(&[[f64::INFINITY, f64::NEG_INFINITY]]), "[[ inf -inf]]");
    let large = Matrix::from_fn(shape(100, 100), |i, j| (100 * i + j) as f64).unwrap();
    let text = format!("{large:?}");
    assert!(text.starts_with("Matrix([[   0.    1.    2. ...   97.   98.   99.]\n        [ 100."));
    assert_eq!(text.lines().count(), 7);
    assert_eq!(text.lines().nth(3), Some("        ..."));
}
