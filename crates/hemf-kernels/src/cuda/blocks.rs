//! Memory in blocks that are handed out, taken back and handed out again. What is where, as numbers: nothing here touches it.

use std::collections::{BTreeMap, BTreeSet};

/// Blocks are multiples of this, and so are their addresses within a segment.
const UNIT: usize = 512;

/// Segments, each of blocks side by side.
#[derive(Default)]
pub(super) struct Blocks {
    all: BTreeMap<u64, Block>,
    /// Sizes and addresses of the free ones.
    free: BTreeSet<(usize, u64)>,
}

struct Block {
    size: usize,
    free: bool,
    /// Whether a segment begins with it.
    first: bool,
}

impl Blocks {
    /// The address of so many bytes, of the smallest free block that has them; the rest of it stays free.
    pub(super) fn take(&mut self, bytes: usize) -> Option<u64> {
        let size = bytes.next_multiple_of(UNIT);
        let &(whole, at) = self.free.range((size, 0)..).next()?;
        self.free.remove(&(whole, at));
        let block = self.all.get_mut(&at)?;
        (block.size, block.free) = (size, false);
        if whole > size {
            self.insert(at + size as u64, Block { size: whole - size, free: true, first: false });
        }
        Some(at)
    }

    /// Takes back what was handed out at an address, and joins it with what is free beside it. False where nothing was.
    pub(super) fn give(&mut self, at: u64) -> bool {
        if !self.has(at) {
            return false;
        }
        let Some(Block { mut size, mut first, .. }) = self.all.remove(&at) else { return false };
        let mut at = at;
        if let Some(next) = self.all.get(&(at + size as u64)).filter(|next| next.free && !next.first) {
            let (next_at, next_size) = (at + size as u64, next.size);
            self.remove(next_at, next_size);
            size += next_size;
        }
        let before =
            self.all.range(..at).next_back().map(|(before, block)| (*before, block.size, block.free, block.first));
        if let Some((before, before_size, true, before_first)) = before
            && !first
        {
            self.remove(before, before_size);
            (at, size, first) = (before, size + before_size, before_first);
        }
        self.insert(at, Block { size, free: true, first });
        true
    }

    /// Whether something is handed out at an address.
    pub(super) fn has(&self, at: u64) -> bool {
        self.all.get(&at).is_some_and(|block| !block.free)
    }

    /// Adds a segment, all of it free.
    pub(super) fn add(&mut self, at: u64, bytes: usize) {
        self.insert(at, Block { size: bytes, free: true, first: true });
    }

    /// The addresses of the segments of which nothing is handed out; they are here no more.
    pub(super) fn drop_free(&mut self) -> Vec<u64> {
        let whole = |(at, block): (&u64, &Block)| {
            let next = self.all.range(at + 1..).next();
            (block.free && block.first && next.is_none_or(|(_, next)| next.first)).then_some((*at, block.size))
        };
        let whole: Vec<_> = self.all.iter().filter_map(whole).collect();
        whole.iter().for_each(|(at, size)| self.remove(*at, *size));
        whole.into_iter().map(|(at, _)| at).collect()
    }

    fn insert(&mut self, at: u64, block: Block) {
        if block.free {
            self.free.insert((block.size, at));
        }
        self.all.insert(at, block);
    }

    fn remove(&mut self, at: u64, size: usize) {
        self.free.remove(&(size, at));
        self.all.remove(&at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Blocks {
        /// Free bytes, with what must always hold.
        fn checked(&self) -> usize {
            let mut end = None;
            let mut free = BTreeSet::new();
            for (at, block) in &self.all {
                assert!(block.size > 0);
                match end {
                    Some((end, _)) if !block.first => assert_eq!(end, *at, "blocks of a segment are side by side"),
                    Some((end, _)) => assert!(end <= *at, "segments do not overlap"),
                    None => assert!(block.first),
                }
                let two = block.free && !block.first && end.is_some_and(|(_, free)| free);
                assert!(!two, "two free blocks side by side are one");
                if block.free {
                    free.insert((block.size, *at));
                }
                end = Some((at + block.size as u64, block.free));
            }
            assert_eq!(free, self.free);
            free.iter().map(|(size, _)| size).sum()
        }
    }

    #[test]
    fn the_smallest_that_is_enough_is_cut() {
        let mut blocks = Blocks::default();
        blocks.add(0x10000, 4 * UNIT);
        blocks.add(0x20000, 2 * UNIT);
        assert_eq!([blocks.take(1), blocks.take(UNIT)], [Some(0x20000), Some(0x20000 + UNIT as u64)]);
        assert_eq!([blocks.take(UNIT + 1), blocks.take(3 * UNIT)], [Some(0x10000), None]);
        assert_eq!(blocks.checked(), 2 * UNIT);
        assert!(blocks.give(0x20000) && !blocks.give(0x20000) && !blocks.give(0x30000));
        assert!(blocks.drop_free().is_empty());
        assert!(blocks.give(0x20000 + UNIT as u64) && blocks.give(0x10000));
        assert_eq!(blocks.drop_free(), [0x10000, 0x20000]);
        assert!(blocks.all.is_empty() && blocks.free.is_empty());
    }

    #[test]
    fn segments_that_touch_are_not_joined() {
        let mut blocks = Blocks::default();
        [0x10000, 0x10000 + 2 * UNIT as u64].into_iter().for_each(|at| blocks.add(at, 2 * UNIT));
        let all: Vec<u64> = (0..4).map(|_| blocks.take(UNIT).unwrap()).collect();
        for i in [1, 2, 0, 3] {
            assert!(blocks.give(all[i]));
            blocks.checked();
        }
        assert_eq!(blocks.take(3 * UNIT), None);
        assert_eq!(blocks.drop_free().len(), 2);
    }

    #[test]
    fn nothing_is_handed_out_twice_and_nothing_is_lost() {
        const SEGMENT: usize = 1 << 20;
        let mut blocks = Blocks::default();
        let (mut out, mut segments) = (Vec::<(u64, usize)>::new(), 0);
        for draw in crate::testing::values(20_000, 1) {
            let draw = f64::from(draw) / 2.0 + 0.5;
            if draw < 0.5 && !out.is_empty() {
                let (at, _) = out.swap_remove((draw * 2.0 * out.len() as f64) as usize);
                assert!(blocks.give(at));
            } else {
                let bytes = 1 + ((draw - 0.5).max(0.0) * 2.0).powi(4).mul_add(2e5, 0.0) as usize;
                let at = blocks.take(bytes).unwrap_or_else(|| {
                    segments += 1;
                    blocks.add(segments * SEGMENT as u64, SEGMENT);
                    blocks.take(bytes).expect("a segment is large enough")
                });
                assert_eq!(at % UNIT as u64, 0);
                let apart = |(other, size): &(u64, usize)| at + bytes as u64 <= *other || other + *size as u64 <= at;
                assert!(out.iter().all(apart), "handed out twice");
                out.push((at, bytes));
            }
        }
        let handed_out: usize = out.iter().map(|(_, bytes)| bytes.next_multiple_of(UNIT)).sum();
        assert_eq!(blocks.checked() + handed_out, segments as usize * SEGMENT);
        assert!(segments > 3 && out.len() > 50);
        out.iter().for_each(|(at, _)| assert!(blocks.give(*at)));
        assert_eq!(blocks.drop_free().len(), segments as usize);
    }
}
