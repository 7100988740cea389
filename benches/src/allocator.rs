//! The allocator of the process: the system's or, with feature `mimalloc`, that one. (The Verona runtime brings its
//! own for what it allocates itself.)

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
