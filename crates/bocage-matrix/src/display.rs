//! The printed form: rows in brackets, columns aligned, the middle of a large matrix left out.

use std::fmt;

use crate::Matrix;

/// A matrix with more elements than this is shown by its corners.
const SHOWN_WHOLE: usize = 1000;
/// Rows and columns shown at each end of a large one.
const EDGE: usize = 3;
/// Most digits after the point; numbers that need more are rounded to it.
const DIGITS: usize = 8;

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_rows(self, f, "")
    }
}

impl fmt::Debug for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Matrix(")?;
        write_rows(self, f, "       ")?;
        f.write_str(")")
    }
}

fn write_rows(matrix: &Matrix, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
    let whole = matrix.shape().len() <= SHOWN_WHOLE;
    let rows = shown(matrix.rows(), whole);
    let columns = shown(matrix.columns(), whole);
    let style = Style::of(
        rows.iter()
            .flatten()
            .flat_map(|&row| columns.iter().flatten().map(move |&column| (row, column)))
            .map(|(row, column)| matrix.row_slice(row)[column]),
    );
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            row.map_or(Vec::new(), |row| {
                columns
                    .iter()
                    .map(|column| match column {
                        Some(column) => style.format(matrix.row_slice(row)[*column]),
                        None => "...".to_owned(),
                    })
                    .collect()
            })
        })
        .collect();
    let numbers = || cells.iter().flatten().filter(|cell| *cell != "...");
    let width = numbers().map(String::len).max().unwrap_or(0);

    f.write_str("[")?;
    for (i, row) in cells.iter().enumerate() {
        if i > 0 {
            write!(f, "\n{indent} ")?;
        }
        if row.is_empty() {
            f.write_str("...")?;
        } else {
            f.write_str("[")?;
            for (j, cell) in row.iter().enumerate() {
                let gap = if j > 0 { " " } else { "" };
                if cell == "..." {
                    write!(f, "{gap}{cell}")?;
                } else {
                    write!(f, "{gap}{cell:>width$}")?;
                }
            }
            f.write_str("]")?;
        }
    }
    f.write_str("]")
}

/// The numbers of the rows (columns) to show, `None` for those left out.
fn shown(length: usize, whole: bool) -> Vec<Option<usize>> {
    if whole || length <= 2 * EDGE {
        (0..length).map(Some).collect()
    } else {
        let last = length - EDGE..length;
        (0..EDGE).map(Some).chain([None]).chain(last.map(Some)).collect()
    }
}

/// How all numbers of one matrix are written.
struct Style {
    scientific: bool,
    /// Digits after the point, the same for all so that the points align.
    digits: usize,
}

impl Style {
    /// Positional, unless some number would be long or a small one lose its digits.
    fn of(elements: impl Iterator<Item = f64> + Clone) -> Style {
        let finite = elements.filter(|x| x.is_finite());
        let sizes = finite.clone().map(f64::abs).filter(|&x| x > 0.0);
        let (smallest, largest) = sizes.fold((f64::INFINITY, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
        let scientific = largest >= 1e8
            || (largest > 0.0 && (smallest < 1e-4 || largest / smallest > 1e3 && !whole_numbers(finite.clone())));
        let needed = |x: f64| {
            let text = if scientific { format!("{x:.DIGITS$e}") } else { format!("{x:.DIGITS$}") };
            let number = text.split('e').next().unwrap_or_default();
            let (_, fraction) = number.split_once('.').unwrap_or_default();
            fraction.trim_end_matches('0').len()
        };
        Style { scientific, digits: finite.map(needed).max().unwrap_or(0) }
    }

    fn format(&self, x: f64) -> String {
        let digits = self.digits;
        if x.is_nan() {
            "nan".to_owned()
        } else if x.is_infinite() {
            if x > 0.0 { "inf" } else { "-inf" }.to_owned()
        } else if self.scientific {
            let text = format!("{x:.digits$e}");
            let (number, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let point = if digits == 0 { "." } else { "" };
            let (sign, size) = match exponent.strip_prefix('-') {
                Some(size) => ('-', size),
                None => ('+', exponent),
            };
            format!("{number}{point}e{sign}{size:0>2}")
        } else if digits == 0 {
            format!("{x:.0}.")
        } else {
            format!("{x:.digits$}")
        }
    }
}

fn whole_numbers(mut elements: impl Iterator<Item = f64>) -> bool {
    elements.all(|x| x.fract() == 0.0)
}
