//! A tree of names: path elements from the left, host labels from the right.
//!
//! Looking up walks down as far as the names go and then climbs back by parent links, so that the
//! longest match comes first without a list of candidates. A walk ends where the tree ends: a request
//! with ten thousand slashes costs no more than the deepest route.

use std::collections::HashMap;

/// Values by lists of names.
#[derive(Debug)]
pub(super) struct Trie<T> {
    /// The first one is the root: the empty list.
    nodes: Vec<Node<T>>,
}

#[derive(Debug)]
struct Node<T> {
    /// The root is its own parent.
    parent: usize,
    children: HashMap<Box<str>, usize>,
    value: Option<T>,
}

impl<T> Trie<T> {
    /// The place of the value for exactly these names.
    pub(super) fn entry<'n>(&mut self, names: impl Iterator<Item = &'n str>) -> &mut Option<T> {
        let mut at = ROOT;
        for name in names {
            at = match self.nodes[at].children.get(name) {
                Some(child) => *child,
                None => {
                    let child = self.nodes.len();
                    self.nodes.push(Node::below(at));
                    self.nodes[at].children.insert(name.into(), child);
                    child
                }
            };
        }
        &mut self.nodes[at].value
    }

    /// The values for every beginning of these names, the longest first.
    pub(super) fn longest_first<'n>(&self, names: impl Iterator<Item = &'n str>) -> Climb<'_, T> {
        let mut at = ROOT;
        for name in names {
            match self.nodes[at].children.get(name) {
                Some(child) => at = *child,
                None => break,
            }
        }
        Climb { trie: self, next: Some(at) }
    }

    /// Every value, in no particular order.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.nodes.iter_mut().filter_map(|it| it.value.as_mut())
    }
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { nodes: vec![Node::below(ROOT)] }
    }
}

impl<T> Node<T> {
    fn below(parent: usize) -> Self {
        Self { parent, children: HashMap::new(), value: None }
    }
}

/// The way back from the deepest node to the root.
pub(super) struct Climb<'t, T> {
    trie: &'t Trie<T>,
    next: Option<usize>,
}

impl<'t, T> Iterator for Climb<'t, T> {
    type Item = &'t T;

    fn next(&mut self) -> Option<&'t T> {
        while let Some(at) = self.next {
            let node = &self.trie.nodes[at];
            self.next = (at != ROOT).then_some(node.parent);
            if node.value.is_some() {
                return node.value.as_ref();
            }
        }
        None
    }
}

const ROOT: usize = 0;
