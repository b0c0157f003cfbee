//! The codecs, from the files of the program itself and without the rest of it: what the fuzzer instruments is
//! what it looks at, and is built in seconds.
//!
//! The tree is that of `src/`, as far as these rooms need it. A room that begins to use another one does not
//! build here until that is named too.
#![allow(dead_code, reason = "what only the rest of the program uses")]

#[path = "../../src"]
mod files {
    pub mod h1;
    pub mod message;
    pub mod proxy {
        mod grpc;
        pub mod h2 {
            pub mod frame;
            pub mod hpack;
            pub mod session;
            pub mod text;
        }
    }
}

// The files call each other by these names.
pub use files::{h1, message, proxy};
