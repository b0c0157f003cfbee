//! `workers` and `memory`: how much of the machine the process takes.

use super::domain::Memory;
use super::listen;
use super::node::Node;
use super::problem::Problems;

/// Most worker threads; more than any machine has cores is a slip.
const WORKERS_MAX: u64 = 1024;

/// Least memory that can be asked for; below, nothing could be served.
const MEMORY_MIN: u64 = 16 << 20;

/// `auto` or a number.
pub(super) fn workers(node: &Node, problems: &mut Problems) -> Option<Option<usize>> {
    if node.is_word("auto") {
        return Some(None);
    }
    listen::count(node, WORKERS_MAX, problems).map(Some)
}

/// `auto`, `off` or a size.
pub(super) fn memory_of(node: &Node, problems: &mut Problems) -> Option<Memory> {
    match () {
        () if node.is_word("auto") => Some(Memory::Auto),
        () if node.is_word("off") => Some(Memory::Off),
        () => listen::bytes(node, MEMORY_MIN, 1 << 50, problems).map(|it| Memory::Bytes(it as u64)),
    }
}
