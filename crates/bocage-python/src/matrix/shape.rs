//! Shape, copies and the printed form.

use std::ffi::CStr;

use super::argument;
use super::handle::Handle;
use super::new_object;
use crate::py::{Args, Error, Obj, Result, Signature, This};

type Me<'a> = This<'a, Handle>;

pub(super) fn rows(this: Me<'_>) -> Result<usize> {
    Ok(this.lend()?.rows())
}

pub(super) fn columns(this: Me<'_>) -> Result<usize> {
    Ok(this.lend()?.columns())
}

pub(super) fn size(this: Me<'_>) -> Result<usize> {
    Ok(this.lend()?.shape().len())
}

pub(super) fn shape(this: Me<'_>) -> Result<Obj> {
    let py = this.py();
    let shape = this.lend()?.shape();
    let pair = [py.uint(shape.rows() as u64)?, py.uint(shape.columns() as u64)?];
    Obj::tuple(py, pair)
}

/// A matrix is true, as it is never empty.
pub(super) fn truth(this: Me<'_>) -> Result<bool> {
    this.lend().map(|_| true)
}

pub(super) fn acquired(this: Me<'_>) -> Result<bool> {
    Ok(this.is_here())
}

pub(super) fn transposed(this: Me<'_>) -> Result<Obj> {
    let transposed = this.lend()?.transpose()?;
    new_object(this.state()?, transposed)
}

pub(super) const TRANSPOSE_DOC: &CStr = c"transpose($self, in_place=False)\n--\n\n\
    The transpose: as a new Matrix, or of this one, which is returned.";

static TRANSPOSE: Signature<1> = Signature::new("transpose", ["in_place"], 0);

pub(super) fn transpose(this: Me<'_>, args: Args<'_>) -> Result<Obj> {
    let [in_place] = TRANSPOSE.bind(&args)?;
    if !in_place.map_or(Ok(false), |flag| flag.is_true())? {
        return transposed(this);
    }
    let shape = this.lend()?.shape();
    if shape != shape.transposed() {
        this.not_exported("a Matrix can't change its shape")?;
    }
    this.lend_mut()?.transpose_in_place()?;
    Ok(this.object().own())
}

pub(super) const RESHAPE_DOC: &CStr = c"reshape($self, rows, columns)\n--\n\n\
    A new Matrix of that shape with the same elements in row-major order. ValueError unless it holds\n\
    as many.";

static RESHAPE: Signature<2> = Signature::new("reshape", ["rows", "columns"], 2);

pub(super) fn reshape(this: Me<'_>, args: Args<'_>) -> Result<Obj> {
    let [Some(rows), Some(columns)] = RESHAPE.bind(&args)? else {
        return Err(argument::missing());
    };
    let shape = argument::shape(&rows, &columns)?;
    let mut copy = {
        let matrix = this.lend()?;
        if matrix.shape().len() != shape.len() {
            return Err(Error::value_error(format!(
                "a {} matrix can't become {shape}: it has {} elements, not {}",
                matrix.shape(),
                matrix.shape().len(),
                shape.len()
            )));
        }
        matrix.copy()?
    };
    copy.reshape(shape)?;
    new_object(this.state()?, copy)
}

pub(super) const COPY_DOC: &CStr = c"copy($self, /)\n--\n\nA copy of its own.";

static COPY: Signature<0> = Signature::new("copy", [], 0);

pub(super) fn copy(this: Me<'_>, args: Args<'_>) -> Result<Obj> {
    let [] = COPY.bind(&args)?;
    let copy = this.lend()?.copy()?;
    new_object(this.state()?, copy)
}

pub(super) const TOLIST_DOC: &CStr = c"tolist($self, /)\n--\n\nA list of rows, each a list of floats.";

static TOLIST: Signature<0> = Signature::new("tolist", [], 0);

pub(super) fn tolist(this: Me<'_>, args: Args<'_>) -> Result<Obj> {
    let [] = TOLIST.bind(&args)?;
    let py = this.py();
    // Making lists can start the garbage collector, which may run Python code: so from a copy.
    let copy = this.lend()?.copy()?;
    let row = |row: &[f64]| {
        let floats = row.iter().map(|&x| py.float(x)).collect::<Result<Vec<_>>>()?;
        Obj::list(py, floats)
    };
    let rows = copy.as_slice().chunks_exact(copy.columns()).map(row);
    Obj::list(py, rows.collect::<Result<Vec<_>>>()?)
}

pub(super) fn repr(this: Me<'_>) -> Result<String> {
    Ok(match this.lend() {
        Ok(matrix) => format!("{:?}", &*matrix),
        // Whoever looks at a traceback or a debugger needs an answer, not another exception.
        Err(_) => "<Matrix, moved away>".to_owned(),
    })
}

pub(super) fn str(this: Me<'_>) -> Result<String> {
    Ok(match this.lend() {
        Ok(matrix) => matrix.to_string(),
        Err(_) => "<Matrix, moved away>".to_owned(),
    })
}
