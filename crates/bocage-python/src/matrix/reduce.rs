//! `sum`, `mean`, `min` and `max`, of everything or along an axis, under a mask.

use std::ffi::CStr;

use bocage_matrix::Reduction;

use super::argument::{axis, given};
use super::handle::Handle;
use super::new_object;
use super::operand::handle;
use crate::py::{Args, IntoPython, Obj, Result, Signature, This};

type Me<'a> = This<'a, Handle>;

fn reduce(this: Me<'_>, args: &Args<'_>, signature: &Signature<2>, reduction: Reduction) -> Result<Obj> {
    let state = this.state()?;
    let [along, mask] = signature.bind(args)?;
    let along = given(along).map(|along| axis(&along)).transpose()?;
    let mask = given(mask);
    let mask = mask.as_ref().map(|mask| handle(state, mask, "where")).transpose()?;
    let lent = mask.map(Handle::lend).transpose()?;
    let matrix = this.lend()?;
    match along {
        None => matrix.reduce(reduction, lent.as_deref())?.into_python(this.py()),
        Some(along) => {
            let result = matrix.reduce_axis(reduction, along, lent.as_deref())?;
            drop((matrix, lent));
            new_object(state, result)
        }
    }
}

macro_rules! reductions {
    ($($method:ident $name:literal $reduction:ident $signature:ident $doc:ident = $text:literal;)*) => {$(
        pub(super) const $doc: &CStr = $text;

        static $signature: Signature<2> = Signature::new($name, ["axis", "where"], 0);

        pub(super) fn $method(this: Me<'_>, args: Args<'_>) -> Result<Obj> {
            reduce(this, &args, &$signature, Reduction::$reduction)
        }
    )*};
}

reductions! {
    sum "sum" Sum SUM
    SUM_DOC = c"sum($self, axis=None, where=None)\n--\n\n\
        The sum of all elements as a float; down the rows (axis 0) as a 1xcolumns Matrix; across the\n\
        columns (axis 1) as a rowsx1 Matrix. Axes -1 and -2 count from the end; another raises\n\
        ValueError.\n\n\
        where: a mask of the same shape; elements count where it isn't zero. 0 if none does.";
    mean "mean" Mean MEAN
    MEAN_DOC = c"mean($self, axis=None, where=None)\n--\n\n\
        The arithmetic mean; axis and where as for sum(). NaN if no element counts.";
    min "min" Min MIN
    MIN_DOC = c"min($self, axis=None, where=None)\n--\n\n\
        The smallest element, passing over NaNs; axis and where as for sum(). NaN if no number counts.";
    max "max" Max MAX
    MAX_DOC = c"max($self, axis=None, where=None)\n--\n\n\
        The largest element, passing over NaNs; axis and where as for sum(). NaN if no number counts.";
}
