//! `+ - * / @`, `-m`, `abs(m)`, and the methods that write into `out`.

use std::ffi::CStr;

use bocage_matrix::{Binary, Matrix, Unary};

use super::argument::{concatenates, given, missing};
use super::handle::Handle;
use super::new_object;
use super::operand::{Operand, handle};
use crate::py::{Args, Attached, Error, Obj, Ref, Result, Signature, This};
use crate::state::State;

type Me<'a> = This<'a, Handle>;

/// `left op right`, of which at least one is a matrix.
fn operator(py: Attached, operation: Binary, left: Ref<'_>, right: Ref<'_>) -> Result<Obj> {
    let state = State::current(py)?;
    let (Some(left), Some(right)) = (Operand::of(&state, &left)?, Operand::of(&state, &right)?) else {
        return declined(py, &left);
    };
    let result = {
        let (left, right) = (left.lend()?, right.lend()?);
        Matrix::binary(operation, left.operand(), right.operand())?
    };
    new_object(&state, result)
}

/// Leaves the case to the other operand's type. Not to a sequence on the left, though: `bytes` would take
/// the matrix's buffer and append it to its own.
fn declined(py: Attached, left: &Obj) -> Result<Obj> {
    if concatenates(left) {
        return Err(Error::type_error(format!("unsupported operand types: {} and a Matrix", left.type_name())));
    }
    Ok(py.not_implemented())
}

/// `left op= right`. A result larger than the left operand is refused: as `left = left op right`, which Python
/// would make of `NotImplemented`, it would leave every other name of the matrix with the old elements.
fn operator_in_place(py: Attached, operation: Binary, left: Ref<'_>, right: Ref<'_>) -> Result<Obj> {
    let state = State::current(py)?;
    let target = handle(&state, &left, "the left operand")?;
    let Some(argument) = Operand::of(&state, &right)? else {
        return Ok(py.not_implemented());
    };
    write(operation, target, &argument, target)?;
    Ok(left.own())
}

/// `out = left op right`, where `out` may be one of them or both.
fn write(operation: Binary, left: &Handle, right: &Operand<'_>, out: &Handle) -> Result<()> {
    match (std::ptr::eq(left, out), right.is(out)) {
        (true, true) => out.lend_mut()?.apply_itself(operation),
        (true, false) => out.lend_mut()?.apply(operation, right.lend()?.operand())?,
        (false, true) => out.lend_mut()?.apply_reversed(operation, &*left.lend()?)?,
        (false, false) => {
            Matrix::binary_into(operation, &*left.lend()?, right.lend()?.operand(), &mut *out.lend_mut()?)?
        }
    }
    Ok(())
}

/// `this op other`, as a new matrix or into `out`.
fn method(this: Me<'_>, args: &Args<'_>, signature: &Signature<2>, operation: Binary) -> Result<Obj> {
    let state = this.state()?;
    let [Some(other), out] = signature.bind(args)? else {
        return Err(missing());
    };
    let other = Operand::required(state, &other)?;
    let Some(out) = given(out) else {
        let result = {
            let (left, right) = (this.lend()?, other.lend()?);
            Matrix::binary(operation, &*left, right.operand())?
        };
        return new_object(state, result);
    };
    write(operation, this.payload(), &other, handle(state, &out, "out")?)?;
    Ok(out.own())
}

macro_rules! binary {
    ($(
        $operation:ident $operator:ident $in_place:ident $method:ident $name:literal
        $signature:ident $doc:ident = $text:literal;
    )*) => {$(
        pub(super) const $doc: &CStr = $text;

        static $signature: Signature<2> =
            Signature::new($name, ["other", "out"], 1).positional_only(1).keyword_only(1);

        pub(super) fn $operator(py: Attached, left: Ref<'_>, right: Ref<'_>) -> Result<Obj> {
            operator(py, Binary::$operation, left, right)
        }

        pub(super) fn $in_place(py: Attached, left: Ref<'_>, right: Ref<'_>) -> Result<Obj> {
            operator_in_place(py, Binary::$operation, left, right)
        }

        pub(super) fn $method(this: Me<'_>, args: Args<'_>) -> Result<Obj> {
            method(this, &args, &$signature, Binary::$operation)
        }
    )*};
}

binary! {
    Add add add_in_place add_method "add" ADD
    ADD_DOC = c"add($self, other, /, *, out=None)\n--\n\n\
        self + other, as a new Matrix or into out, which may be an operand and is returned.";
    Subtract subtract subtract_in_place subtract_method "subtract" SUBTRACT
    SUBTRACT_DOC = c"subtract($self, other, /, *, out=None)\n--\n\n\
        self - other, as a new Matrix or into out, which may be an operand and is returned.";
    Multiply multiply multiply_in_place multiply_method "multiply" MULTIPLY
    MULTIPLY_DOC = c"multiply($self, other, /, *, out=None)\n--\n\n\
        self * other, element by element, as a new Matrix or into out, which may be an operand and\n\
        is returned.";
    Divide divide divide_in_place divide_method "divide" DIVIDE
    DIVIDE_DOC = c"divide($self, other, /, *, out=None)\n--\n\n\
        self / other, element by element, as a new Matrix or into out, which may be an operand and\n\
        is returned. Dividing by zero gives an infinity or NaN.";
}

/// `left @ right`. A list or tuple counts as a row; a number has no matrix product.
pub(super) fn matmul(py: Attached, left: Ref<'_>, right: Ref<'_>) -> Result<Obj> {
    let state = State::current(py)?;
    let (Some(left), Some(right)) = (Operand::of(&state, &left)?, Operand::of(&state, &right)?) else {
        return Ok(py.not_implemented());
    };
    let result = {
        let (left, right) = (left.lend()?, right.lend()?);
        let (Some(left), Some(right)) = (left.matrix(), right.matrix()) else {
            return Ok(py.not_implemented());
        };
        left.matmul(right)?
    };
    new_object(&state, result)
}

fn unary(this: Me<'_>, operation: Unary) -> Result<Obj> {
    let result = this.lend()?.unary(operation)?;
    new_object(this.state()?, result)
}

pub(super) fn negative(this: Me<'_>) -> Result<Obj> {
    unary(this, Unary::Negate)
}

pub(super) fn absolute(this: Me<'_>) -> Result<Obj> {
    unary(this, Unary::Abs)
}

/// The method of an elementwise operation: a new matrix, in place, or into `out`.
fn unary_method(this: Me<'_>, args: &Args<'_>, signature: &Signature<2>, operation: Unary) -> Result<Obj> {
    let [in_place, out] = signature.bind(args)?;
    let in_place = in_place.map_or(Ok(false), |flag| flag.is_true())?;
    match given(out) {
        Some(_) if in_place => {
            Err(Error::value_error("in_place and out say both where the result goes: give one of them"))
        }
        Some(out) => {
            let target = handle(this.state()?, &out, "out")?;
            if std::ptr::eq(target, this.payload()) {
                this.lend_mut()?.apply_unary(operation);
            } else {
                this.lend()?.unary_into(operation, &mut *target.lend_mut()?)?;
            }
            Ok(out.own())
        }
        None if in_place => {
            this.lend_mut()?.apply_unary(operation);
            Ok(this.object().own())
        }
        None => unary(this, operation),
    }
}

pub(super) const ABS_DOC: &CStr = c"abs($self, *, in_place=False, out=None)\n--\n\n\
    Each element without its sign: as a new Matrix, in place, or into out.";

static ABS: Signature<2> = Signature::new("abs", ["in_place", "out"], 0).keyword_only(0);

pub(super) fn abs_method(this: Me<'_>, args: Args<'_>) -> Result<Obj> {
    unary_method(this, &args, &ABS, Unary::Abs)
}

pub(super) const NEGATE_DOC: &CStr = c"negate($self, *, in_place=False, out=None)\n--\n\n\
    Each element with the other sign: as a new Matrix, in place, or into out.";

static NEGATE: Signature<2> = Signature::new("negate", ["in_place", "out"], 0).keyword_only(0);

pub(super) fn negate_method(this: Me<'_>, args: Args<'_>) -> Result<Obj> {
    unary_method(this, &args, &NEGATE, Unary::Negate)
}
