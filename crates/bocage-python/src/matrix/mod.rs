//! The Python type `Matrix`, and how a matrix leaves one interpreter and enters another.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`handle`] | what an instance holds: a matrix that may have moved away, and its exports |
//! | [`argument`] | numbers and sequences of them, indices, axes |
//! | [`operand`] | what takes part in arithmetic: a matrix, a number, a list as a row |
//! | [`construct`] | `Matrix(...)`, `zeros`, `from_buffer`, ... |
//! | [`shape`] | rows, columns, `transpose`, `copy`, `tolist`, `repr` |
//! | [`arithmetic`] | operators, and the methods that take `out=` |
//! | [`compare`] | `< <= == ...`, `allclose` |
//! | [`reduce`] | `sum`, `mean`, `min`, `max` |
//! | [`index`] | reading and assigning parts |
//! | [`iterate`] | rows and values, one by one |
//! | [`export`] | the buffer protocol, `pickle`, `copy` |
//!
//! Invariant: while a matrix is borrowed from its handle, no Python code runs. Operands and keys are
//! turned into Rust values first (which may call `__float__` or `__index__`), and only then is
//! anything borrowed, checked against shapes, and written.
//!
//! The value codec needs [`check`], [`take`], [`copy`] and [`new_object`], and knows nothing else of it.

mod argument;
mod arithmetic;
mod compare;
mod construct;
mod export;
mod handle;
mod index;
mod iterate;
mod operand;
mod reduce;
mod shape;

use crate::py::class::Class;
use crate::py::method::{Method, Property, class_method, getter, method};
use crate::py::slot::{self, Slot};
use crate::py::{Error, Obj, Result};
use crate::state::State;

/// A matrix outside any interpreter.
pub(crate) use bocage_matrix::Matrix;
pub(crate) use handle::Handle;
pub(crate) use iterate::ITERATOR;
pub(crate) use iterate::Walk;

/// Whether the object is a matrix that could move now: `None` if it is no matrix, an error if it
/// moved away already or has a live export.
pub(crate) fn check(state: &State, object: &Obj) -> Option<Result<()>> {
    Some(state.matrix.get(object)?.may_move())
}

/// Whether the object is a matrix that is here: `None` if it is no matrix, an error if it moved away already.
pub(crate) fn check_here(state: &State, object: &Obj) -> Option<Result<()>> {
    Some(state.matrix.get(object)?.lend().map(drop))
}

/// A copy of a matrix object's matrix; `None` if it is no matrix.
pub(crate) fn copy(state: &State, object: &Obj) -> Option<Result<Matrix>> {
    Some(state.matrix.get(object)?.lend().and_then(|matrix| Ok(matrix.copy()?)))
}

/// Takes the buffer out of a matrix object; the object says from then on that it moved.
pub(crate) fn take(state: &State, object: &Obj) -> Option<Result<Matrix>> {
    Some(state.matrix.get(object)?.take())
}

/// A matrix object around the buffer.
pub(crate) fn new_object(state: &State, matrix: Matrix) -> Result<Obj> {
    state.matrix.instantiate(Handle::new(matrix))
}

impl From<bocage_matrix::Error> for Error {
    fn from(error: bocage_matrix::Error) -> Error {
        use bocage_matrix::Error as Refused;
        let message = error.to_string();
        match error {
            Refused::Index { .. } | Refused::NothingPicked { .. } => Error::index_error(message),
            Refused::Memory { .. } => Error::memory_error(message),
            Refused::TooLarge { .. } => Error::overflow_error(message),
            _ => Error::value_error(message),
        }
    }
}

/// The class.
pub(crate) static CLASS: Class<Handle> = Class::new(
    c"bocage.Matrix",
    c"Matrix(rows, columns, values=None)\n--\n\n\
      A dense matrix of rows x columns 64-bit floats, at least 1x1.\n\n\
      values: None for zeros, a number for that number everywhere, or a flat sequence of\n\
      rows * columns numbers in row-major order.\n\n\
      Arithmetic is elementwise. The other operand is a matrix of the same shape, a 1x1, a 1xN row\n\
      or an Mx1 column, which are repeated as needed, a number, or a list or tuple of numbers, which\n\
      counts as a row. Shapes that don't fit raise ValueError and name both; so does += and its kin\n\
      where the result is larger than the left side.\n\n\
      len(m) is the number of rows, and iteration gives each m[i]: row i as a Matrix or, where rows\n\
      have one element, as those of a column vector, that element as a float. m[i, j] is an element in\n\
      any case, so v[0, j] reads a row vector.\n\n\
      A Matrix moves between interpreters without a copy: after it went into a cown or a behavior,\n\
      using the old one raises RuntimeError.\n\n\
      >>> m = Matrix(2, 2, [1, 2, 3, 4])\n\
      >>> m @ m + [10, 20]\n\
      Matrix([[17. 30.]\n\
      \x20       [25. 42.]])",
)
.methods(&METHODS)
.properties(&PROPERTIES)
.slots(&SLOTS);

static METHODS: [Method; 29] = [
    class_method(c"zeros", construct::zeros, construct::ZEROS_DOC),
    class_method(c"ones", construct::ones, construct::ONES_DOC),
    class_method(c"full", construct::full, construct::FULL_DOC),
    class_method(c"vector", construct::vector, construct::VECTOR_DOC),
    class_method(c"identity", construct::identity, construct::IDENTITY_DOC),
    class_method(c"linspace", construct::linspace, construct::LINSPACE_DOC),
    class_method(c"concat", construct::concat, construct::CONCAT_DOC),
    class_method(c"from_buffer", export::from_buffer, export::FROM_BUFFER_DOC),
    method(c"transpose", shape::transpose, shape::TRANSPOSE_DOC),
    method(c"reshape", shape::reshape, shape::RESHAPE_DOC),
    method(c"copy", shape::copy, shape::COPY_DOC),
    method(c"tolist", shape::tolist, shape::TOLIST_DOC),
    method(c"values", iterate::values, iterate::VALUES_DOC),
    method(c"add", arithmetic::add_method, arithmetic::ADD_DOC),
    method(c"subtract", arithmetic::subtract_method, arithmetic::SUBTRACT_DOC),
    method(c"multiply", arithmetic::multiply_method, arithmetic::MULTIPLY_DOC),
    method(c"divide", arithmetic::divide_method, arithmetic::DIVIDE_DOC),
    method(c"abs", arithmetic::abs_method, arithmetic::ABS_DOC),
    method(c"negate", arithmetic::negate_method, arithmetic::NEGATE_DOC),
    class_method(c"allclose", compare::allclose, compare::ALLCLOSE_DOC),
    method(c"sum", reduce::sum, reduce::SUM_DOC),
    method(c"mean", reduce::mean, reduce::MEAN_DOC),
    method(c"min", reduce::min, reduce::MIN_DOC),
    method(c"max", reduce::max, reduce::MAX_DOC),
    class_method(c"_from_elements", export::rebuild, c"For pickle."),
    method(c"__copy__", export::copy, c"A copy of its own."),
    method(c"__deepcopy__", export::copy, c"A copy of its own."),
    method(c"__reduce_ex__", export::reduce, export::REDUCE_DOC),
    Method::END,
];

static PROPERTIES: [Property; 7] = [
    getter(c"rows", shape::rows, c"Number of rows."),
    getter(c"columns", shape::columns, c"Number of columns."),
    getter(c"size", shape::size, c"Number of elements."),
    getter(c"shape", shape::shape, c"(rows, columns)"),
    getter(c"T", shape::transposed, c"The transpose, as a new Matrix."),
    getter(c"acquired", shape::acquired, c"Whether this interpreter has the elements: False once they moved away."),
    Property::END,
];

static SLOTS: [Slot; 23] = {
    let [get_buffer, release_buffer] = crate::py::buffer::buffer(export::get, export::release);
    [
        slot::new(construct::new),
        slot::repr(shape::repr),
        slot::str(shape::str),
        slot::unhashable(),
        slot::compare(compare::compare),
        slot::iter(iterate::rows),
        slot::length(shape::rows),
        slot::subscript(index::get),
        slot::assign_subscript(index::set),
        slot::negative(arithmetic::negative),
        slot::absolute(arithmetic::absolute),
        slot::add(arithmetic::add),
        slot::subtract(arithmetic::subtract),
        slot::multiply(arithmetic::multiply),
        slot::true_divide(arithmetic::divide),
        slot::matrix_multiply(arithmetic::matmul),
        slot::add_in_place(arithmetic::add_in_place),
        slot::subtract_in_place(arithmetic::subtract_in_place),
        slot::multiply_in_place(arithmetic::multiply_in_place),
        slot::true_divide_in_place(arithmetic::divide_in_place),
        slot::truth(shape::truth),
        get_buffer,
        release_buffer,
    ]
};
