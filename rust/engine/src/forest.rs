//! Ordered sets of orders: many small trees over one preallocated table of nodes, a node a row of
//! order terms. Each tree is a treap whose priorities are hashes of the order's number, so its shape
//! depends on what it holds and on nothing else: a replay builds the same. The first key of each tree
//! lies in a table of its own: a price that reaches none costs one comparison. Written by `apply`.

use arch::Table;
use std::io;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A place in a tree.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
struct Node {
    key: i64,
    order_seq: u64,
    /// Rows plus one; 0 for none.
    left: u32,
    right: u32,
    parent: u32,
    /// Tree plus one; 0: in none.
    tree: u32,
}

/// The head of a tree.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
struct Head {
    first_key: i64,
    root: u32,
    first: u32,
    len: u64,
}

/// Trees over rows; a row is in one of them at most.
#[derive(Debug)]
pub(crate) struct Forest {
    nodes: Table<Node>,
    heads: Table<Head>,
}

#[inline(always)]
fn priority(node: &Node) -> u64 {
    crate::number::fold(node.order_seq ^ crate::number::KEYS[1], crate::number::KEYS[2])
}

impl Forest {
    pub(crate) fn new(trees: usize, rows: usize) -> io::Result<Self> {
        assert!(rows < u32::MAX as usize);
        let mut forest = Self { nodes: Table::zeroed(rows)?, heads: Table::zeroed(trees)? };
        forest.heads.iter_mut().for_each(|head| head.first_key = i64::MAX);
        Ok(forest)
    }

    /// Lowest key of a tree; `i64::MAX` when it is empty.
    #[inline(always)]
    pub(crate) fn first_key(&self, tree: usize) -> i64 {
        self.heads[tree].first_key
    }

    /// Row of the lowest (key, order_seq).
    #[inline(always)]
    pub(crate) fn first(&self, tree: usize) -> Option<usize> {
        (self.heads[tree].first as usize).checked_sub(1)
    }

    /// Whether a row stands in a tree.
    #[inline(always)]
    pub(crate) fn is_in(&self, tree: usize, row: usize) -> bool {
        self.nodes[row].tree == tree as u32 + 1
    }

    /// Rows of a tree.
    #[inline(always)]
    pub(crate) fn len(&self, tree: usize) -> u64 {
        self.heads[tree].len
    }

    /// The order that stands in a row of a tree.
    #[inline(always)]
    pub(crate) fn order_seq(&self, row: usize) -> u64 {
        self.nodes[row].order_seq
    }

    /// Key of a row.
    #[inline(always)]
    pub(crate) fn key(&self, row: usize) -> i64 {
        self.nodes[row].key
    }

    /// The next row of its tree.
    pub(crate) fn next(&self, row: usize) -> Option<usize> {
        let mut at = row as u32 + 1;
        if self.node(at).right != 0 {
            at = self.node(at).right;
            while self.node(at).left != 0 {
                at = self.node(at).left;
            }
            return Some(at as usize - 1);
        }
        loop {
            let up = self.node(at).parent;
            if up == 0 {
                return None;
            }
            if self.node(up).left == at {
                return Some(up as usize - 1);
            }
            at = up;
        }
    }

    #[inline(always)]
    fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize - 1]
    }

    #[inline(always)]
    fn node_mut(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize - 1]
    }

    /// Puts `child` in the place of `old` under `parent`.
    #[inline(always)]
    fn relink(&mut self, tree: usize, parent: u32, old: u32, child: u32) {
        if parent == 0 {
            self.heads[tree].root = child;
        } else if self.node(parent).left == old {
            self.node_mut(parent).left = child;
        } else {
            self.node_mut(parent).right = child;
        }
        if child != 0 {
            self.node_mut(child).parent = parent;
        }
    }

    /// Lifts a row above its parent.
    fn lift(&mut self, tree: usize, at: u32) {
        let parent = self.node(at).parent;
        let above = self.node(parent).parent;
        if self.node(parent).left == at {
            let inner = self.node(at).right;
            self.node_mut(parent).left = inner;
            if inner != 0 {
                self.node_mut(inner).parent = parent;
            }
            self.node_mut(at).right = parent;
        } else {
            let inner = self.node(at).left;
            self.node_mut(parent).right = inner;
            if inner != 0 {
                self.node_mut(inner).parent = parent;
            }
            self.node_mut(at).left = parent;
        }
        self.relink(tree, above, parent, at);
        self.node_mut(parent).parent = at;
    }

    /// Adds a row that is in no tree.
    pub(crate) fn insert(&mut self, tree: usize, row: usize, key: i64, order_seq: u64) {
        assert!(self.nodes[row].tree == 0);
        assert!(order_seq != 0);
        let at = row as u32 + 1;
        let tree_word = tree as u32 + 1;
        self.nodes[row] = Node { key, order_seq, tree: tree_word, ..Node::default() };
        let mut up = self.heads[tree].root;
        if up == 0 {
            self.heads[tree].root = at;
        } else {
            loop {
                let node = self.node(up);
                let less = (key, order_seq) < (node.key, node.order_seq);
                let next = if less { node.left } else { node.right };
                if next == 0 {
                    let slot = self.node_mut(up);
                    *(if less { &mut slot.left } else { &mut slot.right }) = at;
                    self.node_mut(at).parent = up;
                    break;
                }
                up = next;
            }
            while self.node(at).parent != 0
                && priority(self.node(self.node(at).parent)) < priority(self.node(at))
            {
                self.lift(tree, at);
            }
        }
        let first = self.heads[tree].first;
        let leads = first == 0 || {
            let node = self.node(first);
            (key, order_seq) < (node.key, node.order_seq)
        };
        let head = &mut self.heads[tree];
        head.len += 1;
        if leads {
            (head.first, head.first_key) = (at, key);
        }
    }

    /// Takes a row out of its tree; `false` when it is in none.
    pub(crate) fn remove(&mut self, row: usize) -> bool {
        let Some(tree) = (self.nodes[row].tree as usize).checked_sub(1) else { return false };
        let at = row as u32 + 1;
        if self.heads[tree].first == at {
            let next = self.next(row);
            let key = next.map_or(i64::MAX, |next| self.nodes[next].key);
            let head = &mut self.heads[tree];
            (head.first, head.first_key) = (next.map_or(0, |next| next as u32 + 1), key);
        }
        // Down until it has one child at most, which then takes its place.
        loop {
            let (left, right) = (self.node(at).left, self.node(at).right);
            if left == 0 || right == 0 {
                let parent = self.node(at).parent;
                self.relink(tree, parent, at, left | right);
                break;
            }
            let left_first = priority(self.node(left)) > priority(self.node(right));
            self.lift(tree, if left_first { left } else { right });
        }
        self.nodes[row] = Node::default();
        assert!(self.heads[tree].len > 0);
        self.heads[tree].len -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// In-order walk with the invariants of the shape: order, parents, priorities.
    fn walk(forest: &Forest, tree: usize) -> Vec<(i64, u64)> {
        let mut out = Vec::new();
        let mut at = forest.first(tree);
        while let Some(row) = at {
            out.push((forest.key(row), forest.order_seq(row)));
            let node = &forest.nodes[row];
            for child in [node.left, node.right].into_iter().filter(|&c| c != 0) {
                assert_eq!(forest.node(child).parent, row as u32 + 1);
                assert!(priority(forest.node(child)) <= priority(node));
            }
            at = forest.next(row);
        }
        out
    }

    proptest! {
        #[test]
        fn a_tree_is_the_ordered_set_of_what_was_put_in_and_not_taken_out(
            ops in prop::collection::vec((0usize..48, 0usize..3, -6i64..6), 0..200)
        ) {
            let mut forest = Forest::new(3, 48).unwrap();
            let mut plain = vec![BTreeSet::new(); 3];
            let mut of = vec![None; 48];
            for (row, tree, key) in ops {
                let seq = row as u64 + 1;
                match of[row].take() {
                    Some((tree, key)) => {
                        let plain: &mut BTreeSet<_> = &mut plain[tree];
                        prop_assert!(forest.remove(row) && plain.remove(&(key, seq)));
                        prop_assert!(!forest.remove(row));
                    }
                    None => {
                        forest.insert(tree, row, key, seq);
                        plain[tree].insert((key, seq));
                        of[row] = Some((tree, key));
                    }
                }
                for (tree, plain) in plain.iter().enumerate() {
                    let first = plain.first().map_or(i64::MAX, |&(key, _)| key);
                    prop_assert_eq!(forest.first_key(tree), first);
                    prop_assert_eq!(forest.len(tree), plain.len() as u64);
                    prop_assert_eq!(walk(&forest, tree), plain.iter().copied().collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn the_shape_does_not_depend_on_the_order_of_arrival() {
        let (mut up, mut down) = (Forest::new(1, 64).unwrap(), Forest::new(1, 64).unwrap());
        for row in 0..64 {
            up.insert(0, row, row as i64 % 7, row as u64 + 1);
            down.insert(0, 63 - row, (63 - row) as i64 % 7, 64 - row as u64);
        }
        assert_eq!(up.nodes.as_bytes(), down.nodes.as_bytes());
    }
}
