//! Operations that make each element from the elements at the same place of their operands.
//!
//! Operands broadcast: see [`Shape::broadcast`]. Each operation comes in three ways:
//!
//! | way | result | allocates |
//! | --- | --- | --- |
//! | [`Matrix::binary`], [`Matrix::unary`] | a new matrix | once |
//! | [`Matrix::binary_into`], [`Matrix::unary_into`] | `out`, which is none of the operands | no |
//! | [`Matrix::apply`] and its kin | over an operand | no |
//!
//! The ways are apart because a loop whose output may overlap its input does not vectorise; the
//! borrow checker tells us which one we have.

use std::mem::MaybeUninit;

use crate::buffer::as_place;
use crate::dispatch::{Kernel, dispatch};
use crate::{Error, Matrix, Shape};

/// What takes part in an elementwise operation: a matrix that broadcasts, or a number.
#[derive(Clone, Copy)]
pub enum Operand<'a> {
    /// A matrix.
    Matrix(&'a Matrix),
    /// A number, as if repeated in every place.
    Scalar(f64),
}

impl<'a> From<&'a Matrix> for Operand<'a> {
    fn from(matrix: &'a Matrix) -> Self {
        Operand::Matrix(matrix)
    }
}

impl From<f64> for Operand<'_> {
    fn from(number: f64) -> Self {
        Operand::Scalar(number)
    }
}

impl Operand<'_> {
    /// The matrix's shape; 1×1 for a number.
    pub fn shape(self) -> Shape {
        match self {
            Operand::Matrix(matrix) => matrix.shape(),
            Operand::Scalar(_) => Shape::new(1, 1).expect("1x1 is a shape"),
        }
    }
}

/// An operation of two operands, as IEEE 754 has it: `x / 0.0` is an infinity or NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `left + right`
    Add,
    /// `left - right`
    Subtract,
    /// `left * right`, element by element
    Multiply,
    /// `left / right`
    Divide,
}

impl Binary {
    /// What the operation is called in messages.
    pub fn name(self) -> &'static str {
        match self {
            Binary::Add => "add",
            Binary::Subtract => "subtract",
            Binary::Multiply => "multiply",
            Binary::Divide => "divide",
        }
    }

    /// The shape of the result for operands of those shapes.
    ///
    /// # Errors
    ///
    /// [`Error::Broadcast`].
    pub fn result_shape(self, left: Shape, right: Shape) -> Result<Shape, Error> {
        left.broadcast(right).ok_or(Error::Broadcast { operation: self.name(), left, right })
    }

    /// `Ok` if the result for operands of shapes `left` and `right` has the shape `own` of the one that it is
    /// written over.
    fn fits_in_place(self, own: Shape, left: Shape, right: Shape) -> Result<(), Error> {
        let result = self.result_shape(left, right)?;
        if result == own { Ok(()) } else { Err(Error::InPlace { operation: self.name(), left, right, result }) }
    }

    /// Runs `loops` with this operation as a type of its own, so that each gets its own machine
    /// code.
    #[inline]
    fn with<L: WithBinary>(self, loops: L) {
        match self {
            Binary::Add => loops.run(|x, y| x + y),
            Binary::Subtract => loops.run(|x, y| x - y),
            Binary::Multiply => loops.run(|x, y| x * y),
            Binary::Divide => loops.run(|x, y| x / y),
        }
    }
}

/// Loops that work for any operation.
trait WithBinary {
    fn run(self, f: impl Fn(f64, f64) -> f64);
}

/// An operation of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// The same element with the other sign, also of zero and NaN.
    Negate,
    /// The element without its sign.
    Abs,
}

impl Unary {
    #[inline(always)]
    fn with<L: WithUnary>(self, loops: L) {
        match self {
            Unary::Negate => loops.run(|x| -x),
            Unary::Abs => loops.run(f64::abs),
        }
    }
}

trait WithUnary {
    fn run(self, f: impl Fn(f64) -> f64);
}

/// A row's share of an operand.
#[derive(Clone, Copy)]
enum Lane<'a> {
    Elements(&'a [f64]),
    Repeated(f64),
}

impl<'a> Operand<'a> {
    /// The operand as one lane, if the whole of the output is a single loop over it.
    fn flat(self, output: Shape) -> Option<Lane<'a>> {
        match self {
            Operand::Scalar(number) => Some(Lane::Repeated(number)),
            Operand::Matrix(matrix) if matrix.shape().len() == 1 => Some(Lane::Repeated(matrix.as_slice()[0])),
            Operand::Matrix(matrix) if matrix.shape() == output => Some(Lane::Elements(matrix.as_slice())),
            Operand::Matrix(_) => None,
        }
    }

    /// What the operand gives to row `row` of the output.
    #[inline(always)]
    fn lane(self, row: usize) -> Lane<'a> {
        match self {
            Operand::Scalar(number) => Lane::Repeated(number),
            Operand::Matrix(matrix) => {
                let row = if matrix.rows() == 1 { 0 } else { row };
                match matrix.row_slice(row) {
                    &[element] => Lane::Repeated(element),
                    elements => Lane::Elements(elements),
                }
            }
        }
    }
}

/// `place = left op right`, where `place` is neither operand.
struct Zip<'a, F> {
    f: F,
    left: Operand<'a>,
    right: Operand<'a>,
    place: &'a mut [MaybeUninit<f64>],
    shape: Shape,
}

impl<F: Fn(f64, f64) -> f64> Kernel for Zip<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Zip { f, left, right, place, shape } = self;
        if let (Some(left), Some(right)) = (left.flat(shape), right.flat(shape)) {
            zip_lane(&f, left, right, place);
        } else {
            for (row, place) in place.chunks_exact_mut(shape.columns()).enumerate() {
                zip_lane(&f, left.lane(row), right.lane(row), place);
            }
        }
    }
}

/// Writes every element of `place`.
#[inline(always)]
fn zip_lane(f: impl Fn(f64, f64) -> f64, left: Lane<'_>, right: Lane<'_>, place: &mut [MaybeUninit<f64>]) {
    match (left, right) {
        (Lane::Elements(left), Lane::Elements(right)) => {
            assert!(left.len() == place.len() && right.len() == place.len());
            for ((slot, &x), &y) in place.iter_mut().zip(left).zip(right) {
                slot.write(f(x, y));
            }
        }
        (Lane::Elements(left), Lane::Repeated(y)) => {
            assert!(left.len() == place.len());
            for (slot, &x) in place.iter_mut().zip(left) {
                slot.write(f(x, y));
            }
        }
        (Lane::Repeated(x), Lane::Elements(right)) => {
            assert!(right.len() == place.len());
            for (slot, &y) in place.iter_mut().zip(right) {
                slot.write(f(x, y));
            }
        }
        (Lane::Repeated(x), Lane::Repeated(y)) => place.fill(MaybeUninit::new(f(x, y))),
    }
}

/// `target = target op operand`.
struct Update<'a, F> {
    f: F,
    target: &'a mut Matrix,
    operand: Operand<'a>,
}

impl<F: Fn(f64, f64) -> f64> Kernel for Update<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Update { f, target, operand } = self;
        let shape = target.shape();
        if let Some(lane) = operand.flat(shape) {
            update_lane(&f, target.as_mut_slice(), lane);
        } else {
            let rows = target.as_mut_slice().chunks_exact_mut(shape.columns());
            for (row, elements) in rows.enumerate() {
                update_lane(&f, elements, operand.lane(row));
            }
        }
    }
}

#[inline(always)]
fn update_lane(f: impl Fn(f64, f64) -> f64, elements: &mut [f64], lane: Lane<'_>) {
    match lane {
        Lane::Elements(lane) => {
            for (x, &y) in elements.iter_mut().zip(lane) {
                *x = f(*x, y);
            }
        }
        Lane::Repeated(y) => {
            for x in elements {
                *x = f(*x, y);
            }
        }
    }
}

impl WithBinary for (Operand<'_>, Operand<'_>, &mut [MaybeUninit<f64>], Shape) {
    fn run(self, f: impl Fn(f64, f64) -> f64) {
        let (left, right, place, shape) = self;
        dispatch(Zip { f, left, right, place, shape });
    }
}

impl WithBinary for (&mut Matrix, Operand<'_>) {
    fn run(self, f: impl Fn(f64, f64) -> f64) {
        let (target, operand) = self;
        dispatch(Update { f, target, operand });
    }
}

/// The operand comes from the left.
struct Reversed<L>(L);

impl<L: WithBinary> WithBinary for Reversed<L> {
    #[inline]
    fn run(self, f: impl Fn(f64, f64) -> f64) {
        self.0.run(move |x, y| f(y, x));
    }
}

/// Both operands are what is updated.
struct Itself<'a>(&'a mut [f64]);

impl WithBinary for Itself<'_> {
    fn run(self, f: impl Fn(f64, f64) -> f64) {
        for x in self.0 {
            *x = f(*x, *x);
        }
    }
}

struct MapInto<'a> {
    operation: Unary,
    elements: &'a [f64],
    place: &'a mut [MaybeUninit<f64>],
}

impl Kernel for MapInto<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let operation = self.operation;
        operation.with(self);
    }
}

impl WithUnary for MapInto<'_> {
    #[inline(always)]
    fn run(self, f: impl Fn(f64) -> f64) {
        assert_eq!(self.elements.len(), self.place.len());
        for (slot, &x) in self.place.iter_mut().zip(self.elements) {
            slot.write(f(x));
        }
    }
}

struct MapOver<'a> {
    operation: Unary,
    elements: &'a mut [f64],
}

impl Kernel for MapOver<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let operation = self.operation;
        operation.with(self);
    }
}

impl WithUnary for MapOver<'_> {
    #[inline(always)]
    fn run(self, f: impl Fn(f64) -> f64) {
        for x in self.elements {
            *x = f(*x);
        }
    }
}

impl Matrix {
    /// `left op right` as a new matrix of the shape that both stretch to.
    ///
    /// # Errors
    ///
    /// [`Error::Broadcast`], [`Error::Memory`].
    pub fn binary<'a>(
        operation: Binary,
        left: impl Into<Operand<'a>>,
        right: impl Into<Operand<'a>>,
    ) -> Result<Matrix, Error> {
        let (left, right) = (left.into(), right.into());
        let shape = operation.result_shape(left.shape(), right.shape())?;
        // SAFETY: `Zip` hands each row of the place to `zip_lane`, which writes all of it.
        unsafe { Matrix::filled_by(shape, |place| operation.with((left, right, place, shape))) }
    }

    /// `out = left op right`, with no allocation.
    ///
    /// # Errors
    ///
    /// [`Error::Broadcast`], or [`Error::Mismatch`] if `out` has not the shape of the result.
    pub fn binary_into<'a>(
        operation: Binary,
        left: impl Into<Operand<'a>>,
        right: impl Into<Operand<'a>>,
        out: &mut Matrix,
    ) -> Result<(), Error> {
        let (left, right) = (left.into(), right.into());
        let shape = operation.result_shape(left.shape(), right.shape())?;
        out.shape().must_be("out", shape)?;
        // SAFETY: the kernel writes only the results of arithmetic.
        let place = unsafe { as_place(out.as_mut_slice()) };
        operation.with((left, right, place, shape));
        Ok(())
    }

    /// `self = self op right`.
    ///
    /// # Errors
    ///
    /// [`Error::Broadcast`], or [`Error::InPlace`] if the result would be larger than `self`.
    pub fn apply<'a>(&mut self, operation: Binary, right: impl Into<Operand<'a>>) -> Result<(), Error> {
        let right = right.into();
        operation.fits_in_place(self.shape(), self.shape(), right.shape())?;
        operation.with((self, right));
        Ok(())
    }

    /// `self = left op self`.
    ///
    /// # Errors
    ///
    /// As [`Matrix::apply`].
    pub fn apply_reversed<'a>(&mut self, operation: Binary, left: impl Into<Operand<'a>>) -> Result<(), Error> {
        let left = left.into();
        operation.fits_in_place(self.shape(), left.shape(), self.shape())?;
        operation.with(Reversed((self, left)));
        Ok(())
    }

    /// `self = self op self`.
    pub fn apply_itself(&mut self, operation: Binary) {
        operation.with(Itself(self.as_mut_slice()));
    }

    /// `op self` as a new matrix.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`].
    pub fn unary(&self, operation: Unary) -> Result<Matrix, Error> {
        let elements = self.as_slice();
        // SAFETY: `MapInto` writes every element of the place.
        unsafe {
            Matrix::filled_by(self.shape(), |place| {
                dispatch(MapInto { operation, elements, place });
            })
        }
    }

    /// `out = op self`, with no allocation.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] if `out` has not the shape of `self`.
    pub fn unary_into(&self, operation: Unary, out: &mut Matrix) -> Result<(), Error> {
        out.shape().must_be("out", self.shape())?;
        // SAFETY: the kernel writes only the results of arithmetic.
        let place = unsafe { as_place(out.as_mut_slice()) };
        dispatch(MapInto { operation, elements: self.as_slice(), place });
        Ok(())
    }

    /// `self = op self`.
    pub fn apply_unary(&mut self, operation: Unary) {
        let elements = self.as_mut_slice();
        dispatch(MapOver { operation, elements });
    }

    /// `self + right`.
    ///
    /// # Errors
    ///
    /// [`Error::Broadcast`], [`Error::Memory`].
    pub fn add<'a>(&'a self, right: impl Into<Operand<'a>>) -> Result<Matrix, Error> {
        Matrix::binary(Binary::Add, self, right)
    }

    /// `self - right`.
    ///
    /// # Errors
    ///
    /// [`Error::Broadcast`], [`Error::Memory`].
    pub fn subtract<'a>(&'a self, right: impl Into<Operand<'a>>) -> Result<Matrix, Error> {
        Matrix::binary(Binary::Subtract, self, right)
    }

    /// `self * right`, element by element.
    ///
    /// # Errors
    ///
    /// [`Error::Broadcast`], [`Error::Memory`].
    pub fn multiply<'a>(&'a self, right: impl Into<Operand<'a>>) -> Result<Matrix, Error> {
        Matrix::binary(Binary::Multiply, self, right)
    }

    /// `self / right`.
    ///
    /// # Errors
    ///
    /// [`Error::Broadcast`], [`Error::Memory`].
    pub fn divide<'a>(&'a self, right: impl Into<Operand<'a>>) -> Result<Matrix, Error> {
        Matrix::binary(Binary::Divide, self, right)
    }
}
