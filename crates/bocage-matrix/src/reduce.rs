//! Reductions: of all elements to a number, down the rows to one row, across the columns to one
//! column; all of them under an optional mask, which counts an element in where it is not zero
//! (a NaN is not zero).
//!
//! # Sums
//!
//! Errors of a plain running sum grow with the number of terms. Here they grow with its logarithm:
//! terms are summed in blocks, and the blocks' sums pairwise, as a binary tree. Within a block,
//! [`LANES`] running sums side by side fill the vector registers; each takes `BLOCK / LANES` = 8
//! terms. So a sum of n terms has rounded at most 8 + log2 16 + log2(n/128) times on the way of
//! any one term; NumPy's pairwise sum, with 128 terms in 8 lanes, 16 + 3 + log2(n/128) times.
//! (Higham, "The accuracy of floating point summation", 1993.) Sums down the rows, which NumPy
//! adds one after the other, are made in the same way.

use crate::dispatch::{Kernel, dispatch};
use crate::{Axis, Error, Matrix};

/// Running sums side by side: four AVX2 registers of four hide the latency of an addition.
const LANES: usize = 16;
/// Terms that are summed by running sums, before the tree.
const BLOCK: usize = 8 * LANES;
/// Rows that are summed by running sums, before the tree.
const ROWS: usize = 8;
/// Columns that a sum down the rows takes at once: 512 bytes of each row in one go, and running sums that
/// stay in the first-level cache.
const STRIP: usize = 64;
/// The same for a matrix of few columns, as batches of 2-D and 3-D vectors are: two registers.
const NARROW: usize = 8;

/// What a group of elements is reduced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum; 0 for none.
    Sum,
    /// Their arithmetic mean; NaN for none.
    Mean,
    /// The smallest, passing over NaNs; NaN if there is nothing else.
    Min,
    /// The largest, passing over NaNs; NaN if there is nothing else.
    Max,
}

impl Matrix {
    /// Reduces all elements, or those that `mask` counts in, to a number.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] if the mask has another shape.
    pub fn reduce(&self, reduction: Reduction, mask: Option<&Matrix>) -> Result<f64, Error> {
        let mask = self.mask(mask)?;
        Ok(reduce_whole(reduction, self.as_slice(), mask))
    }

    /// Reduces along an axis: `Down` to a 1×columns matrix, `Across` to a rows×1 one.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] if the mask has another shape; [`Error::Memory`].
    pub fn reduce_axis(&self, reduction: Reduction, axis: Axis, mask: Option<&Matrix>) -> Result<Matrix, Error> {
        let mask = self.mask(mask)?;
        let mut result = Matrix::zeros(self.shape().reduced(axis))?;
        let reduce = match axis {
            Axis::Across => reduce_across,
            Axis::Down => reduce_down,
        };
        reduce(reduction, self.as_slice(), mask, result.as_mut_slice());
        Ok(result)
    }

    fn mask<'a>(&self, mask: Option<&'a Matrix>) -> Result<Option<&'a [f64]>, Error> {
        mask.map(|mask| {
            mask.shape().must_be("mask", self.shape())?;
            Ok(mask.as_slice())
        })
        .transpose()
    }

    /// The sum of all elements.
    pub fn sum(&self) -> f64 {
        reduce_whole(Reduction::Sum, self.as_slice(), None)
    }

    /// The mean of all elements.
    pub fn mean(&self) -> f64 {
        reduce_whole(Reduction::Mean, self.as_slice(), None)
    }

    /// The smallest element, passing over NaNs.
    pub fn min(&self) -> f64 {
        reduce_whole(Reduction::Min, self.as_slice(), None)
    }

    /// The largest element, passing over NaNs.
    pub fn max(&self) -> f64 {
        reduce_whole(Reduction::Max, self.as_slice(), None)
    }

    /// The sums along an axis.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`].
    pub fn sum_axis(&self, axis: Axis) -> Result<Matrix, Error> {
        self.reduce_axis(Reduction::Sum, axis, None)
    }
}

/// The whole is one row.
fn reduce_whole(reduction: Reduction, elements: &[f64], mask: Option<&[f64]>) -> f64 {
    let mut result = [0.0];
    reduce_across(reduction, elements, mask, &mut result);
    result[0]
}

/// Reduces each of `result.len()` rows to an element of `result`.
fn reduce_across(reduction: Reduction, elements: &[f64], mask: Option<&[f64]>, result: &mut [f64]) {
    match reduction {
        Reduction::Sum => dispatch(SumAcross { elements, mask, result }),
        Reduction::Mean => {
            let width = elements.len() / result.len();
            dispatch(SumAcross { elements, mask, result: &mut *result });
            for (row, sum) in result.iter_mut().enumerate() {
                let count = match mask {
                    None => width,
                    Some(mask) => mask[row * width..][..width].iter().filter(|&&m| m != 0.0).count(),
                };
                // For none, 0/0 is the NaN that is promised.
                *sum /= count as f64;
            }
        }
        Reduction::Min => extreme_across::<false>(elements, mask, result),
        Reduction::Max => extreme_across::<true>(elements, mask, result),
    }
}

/// Adds values pairwise as they come, as a binary counter carries: level `i` holds the sum of
/// 2^i values or none, and the bits of `count` say which.
struct Tree<const WIDTH: usize> {
    levels: Vec<[f64; WIDTH]>,
    count: usize,
}

impl<const WIDTH: usize> Tree<WIDTH> {
    fn new() -> Self {
        Tree { levels: Vec::new(), count: 0 }
    }

    #[inline(always)]
    fn push(&mut self, mut value: [f64; WIDTH]) {
        self.count += 1;
        for _ in 0..self.count.trailing_zeros() {
            let earlier = self.levels.pop().expect("a level for each set bit");
            value = add(earlier, value);
        }
        self.levels.push(value);
    }

    /// The sum of all values.
    #[inline(always)]
    fn total(mut self) -> [f64; WIDTH] {
        let mut total = self.levels.pop().unwrap_or([0.0; WIDTH]);
        while let Some(earlier) = self.levels.pop() {
            total = add(earlier, total);
        }
        total
    }
}

#[inline(always)]
fn add<const WIDTH: usize>(mut left: [f64; WIDTH], right: [f64; WIDTH]) -> [f64; WIDTH] {
    for (l, r) in left.iter_mut().zip(right) {
        *l += r;
    }
    left
}

struct SumAcross<'a> {
    elements: &'a [f64],
    mask: Option<&'a [f64]>,
    result: &'a mut [f64],
}

impl Kernel for SumAcross<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let SumAcross { elements, mask, result } = self;
        match mask {
            None => sum_rows::<false>(elements, elements, result),
            Some(mask) => sum_rows::<true>(elements, mask, result),
        }
    }
}

#[inline(always)]
fn sum_rows<const MASKED: bool>(elements: &[f64], mask: &[f64], result: &mut [f64]) {
    let width = elements.len() / result.len();
    let rows = elements.chunks_exact(width).zip(mask.chunks_exact(width));
    for ((row, mask), sum) in rows.zip(result) {
        *sum = sum_blocks::<MASKED>(row, mask);
    }
}

#[inline(always)]
fn sum_blocks<const MASKED: bool>(elements: &[f64], mask: &[f64]) -> f64 {
    if elements.len() <= BLOCK {
        return sum_block::<MASKED>(elements, mask);
    }
    let mut tree = Tree::<1>::new();
    for (elements, mask) in elements.chunks(BLOCK).zip(mask.chunks(BLOCK)) {
        tree.push([sum_block::<MASKED>(elements, mask)]);
    }
    tree.total()[0]
}

/// The sum of at most `BLOCK` terms.
#[inline(always)]
fn sum_block<const MASKED: bool>(elements: &[f64], mask: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let whole = elements.chunks_exact(LANES);
    let masks = mask.chunks_exact(LANES);
    let (rest, rest_mask) = (whole.remainder(), masks.remainder());
    for (elements, mask) in whole.zip(masks) {
        for lane in 0..LANES {
            lanes[lane] += term::<MASKED>(elements[lane], mask[lane], 0.0);
        }
    }
    for ((lane, &element), &mask) in lanes.iter_mut().zip(rest).zip(rest_mask) {
        *lane += term::<MASKED>(element, mask, 0.0);
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

/// The element if it counts, else `otherwise`.
#[inline(always)]
fn term<const MASKED: bool>(element: f64, mask: f64, otherwise: f64) -> f64 {
    if !MASKED || mask != 0.0 { element } else { otherwise }
}

/// `new` if it is beyond `best`; never if it is NaN.
#[inline(always)]
fn further<const MAX: bool>(best: f64, new: f64) -> f64 {
    let beyond = if MAX { new > best } else { new < best };
    if beyond { new } else { best }
}

/// What every number is beyond, or is.
const fn start<const MAX: bool>() -> f64 {
    if MAX { f64::NEG_INFINITY } else { f64::INFINITY }
}

struct ExtremeAcross<'a, const MAX: bool> {
    elements: &'a [f64],
    mask: Option<&'a [f64]>,
    result: &'a mut [f64],
}

impl<const MAX: bool> Kernel for ExtremeAcross<'_, MAX> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let ExtremeAcross { elements, mask, result } = self;
        let width = elements.len() / result.len();
        for (row, best) in result.iter_mut().enumerate() {
            let own = row * width..(row + 1) * width;
            *best = match mask {
                None => extreme::<MAX, false>(&elements[own.clone()], &elements[own]),
                Some(mask) => extreme::<MAX, true>(&elements[own.clone()], &mask[own]),
            };
        }
    }
}

#[inline(always)]
fn extreme<const MAX: bool, const MASKED: bool>(elements: &[f64], mask: &[f64]) -> f64 {
    let mut lanes = [start::<MAX>(); LANES];
    let whole = elements.chunks_exact(LANES);
    let masks = mask.chunks_exact(LANES);
    let (rest, rest_mask) = (whole.remainder(), masks.remainder());
    for (elements, mask) in whole.zip(masks) {
        for lane in 0..LANES {
            let new = term::<MASKED>(elements[lane], mask[lane], f64::NAN);
            lanes[lane] = further::<MAX>(lanes[lane], new);
        }
    }
    for ((lane, &element), &mask) in lanes.iter_mut().zip(rest).zip(rest_mask) {
        *lane = further::<MAX>(*lane, term::<MASKED>(element, mask, f64::NAN));
    }
    lanes.into_iter().fold(start::<MAX>(), further::<MAX>)
}

fn extreme_across<const MAX: bool>(elements: &[f64], mask: Option<&[f64]>, result: &mut [f64]) {
    let width = elements.len() / result.len();
    dispatch(ExtremeAcross::<MAX> { elements, mask, result: &mut *result });
    for (row, best) in result.iter_mut().enumerate() {
        settle::<MAX>(best, elements, mask, row * width..(row + 1) * width);
    }
}

/// The value that every search starts with stands for "no number", unless one of the elements at
/// `indices` that count is that value.
fn settle<const MAX: bool>(
    best: &mut f64,
    elements: &[f64],
    mask: Option<&[f64]>,
    mut indices: impl Iterator<Item = usize>,
) {
    let present = |index: usize| {
        let element: f64 = elements[index];
        element == start::<MAX>() && mask.is_none_or(|mask| mask[index] != 0.0)
    };
    if *best == start::<MAX>() && !indices.any(present) {
        *best = f64::NAN;
    }
}

fn reduce_down(reduction: Reduction, elements: &[f64], mask: Option<&[f64]>, result: &mut [f64]) {
    match reduction {
        Reduction::Sum => dispatch(SumDown { elements, mask, result }),
        Reduction::Mean => {
            dispatch(SumDown { elements, mask, result: &mut *result });
            let width = result.len();
            match mask {
                None => {
                    let count = (elements.len() / width) as f64;
                    result.iter_mut().for_each(|sum| *sum /= count);
                }
                Some(mask) => {
                    for (column, sum) in result.iter_mut().enumerate() {
                        let column = mask[column..].iter().step_by(width);
                        *sum /= column.filter(|&&m| m != 0.0).count() as f64;
                    }
                }
            }
        }
        Reduction::Min => extreme_down::<false>(elements, mask, result),
        Reduction::Max => extreme_down::<true>(elements, mask, result),
    }
}

struct SumDown<'a> {
    elements: &'a [f64],
    mask: Option<&'a [f64]>,
    result: &'a mut [f64],
}

impl Kernel for SumDown<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let SumDown { elements, mask, result } = self;
        match (mask, result.len() <= NARROW) {
            (None, false) => sum_strips::<STRIP, false>(elements, elements, result),
            (None, true) => sum_strips::<NARROW, false>(elements, elements, result),
            (Some(mask), false) => sum_strips::<STRIP, true>(elements, mask, result),
            (Some(mask), true) => sum_strips::<NARROW, true>(elements, mask, result),
        }
    }
}

/// Sums down the rows, a strip of columns at a time.
#[inline(always)]
fn sum_strips<const WIDTH: usize, const MASKED: bool>(elements: &[f64], mask: &[f64], result: &mut [f64]) {
    let width = result.len();
    for (strip, sums) in result.chunks_mut(WIDTH).enumerate() {
        let left = strip * WIDTH;
        let mut tree = Tree::<WIDTH>::new();
        let blocks = elements.chunks(ROWS * width).zip(mask.chunks(ROWS * width));
        for (elements, mask) in blocks {
            let mut block = [0.0; WIDTH];
            let rows = elements.chunks_exact(width).zip(mask.chunks_exact(width));
            for (row, mask) in rows {
                let row = &row[left..][..sums.len()];
                let mask = &mask[left..][..sums.len()];
                for ((sum, &element), &mask) in block.iter_mut().zip(row).zip(mask) {
                    *sum += term::<MASKED>(element, mask, 0.0);
                }
            }
            tree.push(block);
        }
        sums.copy_from_slice(&tree.total()[..sums.len()]);
    }
}

struct ExtremeDown<'a, const MAX: bool> {
    elements: &'a [f64],
    mask: Option<&'a [f64]>,
    result: &'a mut [f64],
}

impl<const MAX: bool> Kernel for ExtremeDown<'_, MAX> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let ExtremeDown { elements, mask, result } = self;
        match mask {
            None => extreme_rows::<MAX, false>(elements, elements, result),
            Some(mask) => extreme_rows::<MAX, true>(elements, mask, result),
        }
    }
}

#[inline(always)]
fn extreme_rows<const MAX: bool, const MASKED: bool>(elements: &[f64], mask: &[f64], result: &mut [f64]) {
    let width = result.len();
    result.fill(start::<MAX>());
    for (row, mask) in elements.chunks_exact(width).zip(mask.chunks_exact(width)) {
        for ((best, &element), &mask) in result.iter_mut().zip(row).zip(mask) {
            *best = further::<MAX>(*best, term::<MASKED>(element, mask, f64::NAN));
        }
    }
}

fn extreme_down<const MAX: bool>(elements: &[f64], mask: Option<&[f64]>, result: &mut [f64]) {
    let width = result.len();
    dispatch(ExtremeDown::<MAX> { elements, mask, result });
    for (column, best) in result.iter_mut().enumerate() {
        settle::<MAX>(best, elements, mask, (column..elements.len()).step_by(width));
    }
}
