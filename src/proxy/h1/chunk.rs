//! The syntax of chunks and trailers.
