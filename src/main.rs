//! The `tidegate` binary: everything is in the library, where tests can reach it.

use std::process::ExitCode;

/// Workers allocate and free on their own threads; mimalloc keeps them apart.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidegate::cli::main()
}
