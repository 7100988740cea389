//! Comparison operators and closeness.

use std::cmp::Ordering;
use std::ffi::CStr;

use super::argument::{missing, number};
use super::handle::Handle;
use super::operand::{Operand, handle};
use crate::py::slot::Comparison;
use crate::py::{Args, Kind, Obj, Ref, Result, Signature, This};
use crate::state::State;

/// Lexicographic in row-major order, giving one `bool`. `==` and `!=` know an answer for everything.
pub(super) fn compare(this: This<'_, Handle>, other: Ref<'_>, comparison: Comparison) -> Result<Obj> {
    let py = this.py();
    let asks_equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    let argument = match Operand::of(this.state()?, &other) {
        Ok(Some(argument)) => argument,
        Ok(None) => return Ok(py.not_implemented()),
        // A list of strings, or a number too large: not equal, that is all.
        Err(error)
            if asks_equality
                && [Kind::TypeError, Kind::ValueError, Kind::OverflowError]
                    .iter()
                    .any(|&kind| error.matches(py, kind)) =>
        {
            return Ok(py.bool(comparison == Comparison::NotEqual));
        }
        Err(error) => return Err(error),
    };
    let ordering = this.lend()?.lexicographic(argument.lend()?.operand());
    Ok(py.bool(match (ordering, comparison) {
        (Ok(ordering), Comparison::Less) => ordering == Ordering::Less,
        (Ok(ordering), Comparison::LessEqual) => ordering != Ordering::Greater,
        (Ok(ordering), Comparison::Equal) => ordering == Ordering::Equal,
        (Ok(ordering), Comparison::NotEqual) => ordering != Ordering::Equal,
        (Ok(ordering), Comparison::Greater) => ordering == Ordering::Greater,
        (Ok(ordering), Comparison::GreaterEqual) => ordering != Ordering::Less,
        (Err(_), Comparison::Equal) => false,
        (Err(_), Comparison::NotEqual) => true,
        (Err(error), _) => return Err(error.into()),
    }))
}

pub(super) const ALLCLOSE_DOC: &CStr = c"allclose($type, lhs, rhs, rtol=1e-05, atol=1e-08, equal_nan=False)\n--\n\n\
    Whether two matrices have the same shape and |l - r| <= atol + rtol * |r| for all elements.";

static ALLCLOSE: Signature<5> = Signature::new("allclose", ["lhs", "rhs", "rtol", "atol", "equal_nan"], 2);

pub(super) fn allclose(state: &State, _class: Ref<'_>, args: Args<'_>) -> Result<Obj> {
    let [Some(lhs), Some(rhs), rtol, atol, equal_nan] = ALLCLOSE.bind(&args)? else {
        return Err(missing());
    };
    let (lhs, rhs) = (handle(state, &lhs, "lhs")?, handle(state, &rhs, "rhs")?);
    let rtol = rtol.map_or(Ok(1e-5), |rtol| number(&rtol, "rtol"))?;
    let atol = atol.map_or(Ok(1e-8), |atol| number(&atol, "atol"))?;
    let equal_nan = equal_nan.map_or(Ok(false), |flag| flag.is_true())?;
    let close = lhs.lend()?.allclose(&*rhs.lend()?, rtol, atol, equal_nan);
    Ok(args.py().bool(close))
}
