//! Hands the interpreter's version to the code as `cfg(Py_3_13)` and the like, and lets the linker
//! leave CPython's symbols to the process that loads the module.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    pyo3_build_config::use_pyo3_cfgs();
    pyo3_build_config::add_extension_module_link_args();
}
