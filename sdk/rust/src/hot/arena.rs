//! An allocator for plugins that keep nothing between calls.
//!
//! A call into such a plugin allocates a few blocks (its arguments, its answer) and frees all of them before it is over.
//! So a block is taken from the top of a fixed piece of memory, and when the last one is freed the top goes back to the
//! start. What does not fit, and what is allocated before the plugin was configured (its options, the table of names:
//! things that stay), goes to the system's allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Heads have at most 64 KiB; this holds one, its words and its copy, and an envelope around a value of usual size.
const SIZE: usize = 256 << 10;
/// Of the memory, and so the largest alignment of a block.
const ALIGN: usize = 16;

/// Whether a plugin was configured, from when on everything that it allocates is freed before a call ends.
static OPEN: AtomicBool = AtomicBool::new(false);

/// From now on allocations come from the arena, if the plugin has one.
pub(crate) fn open() {
    OPEN.store(true, Ordering::Relaxed);
}

/// The allocator. Make it that of a plugin with [`arena!`](crate::arena), once, in the root of its crate.
///
/// It fits plugins that keep no allocation from one call to the next. One that does works all the same, and its memory
/// goes to the system's allocator once the arena is full.
pub struct Arena {
    memory: Memory,
    blocks: Blocks,
}

#[repr(align(16))]
struct Memory(UnsafeCell<[u8; SIZE]>);

impl Memory {
    #[inline]
    fn start(&self) -> *mut u8 {
        self.0.get().cast()
    }
}

impl Arena {
    /// An empty one.
    pub const fn new() -> Self {
        Self { memory: Memory(UnsafeCell::new([0; SIZE])), blocks: Blocks::new() }
    }

    /// The place of a block within the memory; none if it is somewhere else.
    fn place(&self, block: *mut u8) -> Option<usize> {
        // An address below the memory wraps to one far above it.
        let place = block.addr().wrapping_sub(self.memory.start().addr());
        (place < SIZE).then_some(place)
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("blocks", &self.blocks).finish_non_exhaustive()
    }
}

// SAFETY: without atomics WebAssembly has one thread, so nothing is shared with another one. Elsewhere an arena cannot be
// a static, and so no global allocator.
#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
#[allow(unsafe_code, reason = "a global allocator is a static, and statics must be Sync")]
unsafe impl Sync for Arena {}

// SAFETY: a block is `layout.size()` bytes within `memory`, at a multiple of `layout.align()` because `memory` is aligned
// to `ALIGN` and `Blocks` hands out no block of a larger alignment. `Blocks` hands out no byte twice before it was given
// back (its tests compare it with a model). `memory` is never borrowed, only pointed into, so the pointers that callers
// hold keep their right to it. Nothing here panics or allocates. Whether a block is the arena's or the system's depends on
// its address alone, so each goes back to where it came from.
#[allow(unsafe_code, reason = "that is what an allocator is")]
unsafe impl GlobalAlloc for Arena {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if OPEN.load(Ordering::Relaxed)
            && let Some(place) = self.blocks.take(layout.size(), layout.align())
        {
            // SAFETY: `take` answers places whose block ends at or before `SIZE`.
            return unsafe { self.memory.start().add(place) };
        }
        // SAFETY: the caller keeps the contract of `alloc`, which is that of the system's.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.place(block) {
            Some(place) => self.blocks.give(place, layout.size()),
            // SAFETY: it is not the arena's, so `System` allocated it, with this layout.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(place) = self.place(block) else {
            // SAFETY: it is not the arena's, so `System` allocated it, with this layout.
            return unsafe { System.realloc(block, layout, size) };
        };
        if self.blocks.resize(place, layout.size(), size) {
            return block;
        }
        // SAFETY: the caller promises that `size`, rounded up to the alignment, does not overflow, and the alignment is
        // that of a layout. Old and new block are different ones, each at least as long as what is copied; the old one
        // is the caller's to give back, and is not used afterwards.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

/// Which places are taken. Only numbers: the memory is the arena's.
#[derive(Debug)]
struct Blocks {
    /// Everything from here on is free.
    top: Cell<usize>,
    /// How many blocks are taken.
    live: Cell<usize>,
}

impl Blocks {
    const fn new() -> Self {
        Self { top: Cell::new(0), live: Cell::new(0) }
    }

    /// The place of a new block; none if it does not fit.
    #[inline]
    fn take(&self, size: usize, align: usize) -> Option<usize> {
        // `top` is at most `SIZE` and `align` at most `ALIGN` here, so this does not overflow.
        let place = if align <= ALIGN { self.top.get().next_multiple_of(align) } else { return None };
        if place > SIZE || size > SIZE - place {
            return None;
        }
        self.top.set(place + size);
        self.live.set(self.live.get() + 1);
        Some(place)
    }

    /// Gives a block back. The last one takes everything with it; the topmost one itself.
    #[inline]
    fn give(&self, place: usize, size: usize) {
        let live = self.live.get().saturating_sub(1);
        self.live.set(live);
        if live == 0 {
            self.top.set(0);
        } else if place + size == self.top.get() {
            self.top.set(place);
        }
    }

    /// Changes the size of a block where it is, if that is possible.
    #[inline]
    fn resize(&self, place: usize, old: usize, new: usize) -> bool {
        if place + old == self.top.get() && new <= SIZE - place {
            self.top.set(place + new);
            return true;
        }
        new <= old
    }
}

/// Makes [`hot::Arena`](crate::hot::Arena) the allocator of a plugin that keeps nothing between calls:
/// `micro_sdk::arena!();`, once, in the root of a `cdylib` crate. Natively it does nothing.
#[macro_export]
macro_rules! arena {
    () => {
        #[cfg(target_arch = "wasm32")]
        #[global_allocator]
        static MICRO_ARENA: $crate::hot::Arena = $crate::hot::Arena::new();
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// What is taken, by its place.
    #[derive(Default)]
    struct Model(BTreeMap<usize, usize>);

    impl Model {
        /// A block that nobody else has.
        fn insert(&mut self, place: usize, size: usize) {
            assert!(place + size <= SIZE, "{place} + {size}");
            let before = self.0.range(..=place).next_back();
            assert!(before.is_none_or(|(start, size)| start + size <= place), "{place} lies in {before:?}");
            let after = self.0.range(place..).next();
            assert!(
                after.is_none_or(|(start, _)| place + size <= *start),
                "{place} + {size} reaches {after:?}"
            );
            self.0.insert(place, size);
        }

        fn any(&self, random: &mut fastrand::Rng) -> Option<(usize, usize)> {
            let (place, size) = self.0.iter().nth(random.usize(..self.0.len().max(1)))?;
            Some((*place, *size))
        }
    }

    #[test]
    fn no_byte_is_handed_out_twice() {
        for seed in 0..200 {
            let (blocks, mut model, mut random) =
                (Blocks::new(), Model::default(), fastrand::Rng::with_seed(seed));
            let largest = 1 << random.u32(4..19);
            for _ in 0..500 {
                match (random.u8(..4), model.any(&mut random)) {
                    (0, Some((place, size))) => {
                        model.0.remove(&place);
                        blocks.give(place, size);
                    }
                    (1, Some((place, size))) => {
                        let new = random.usize(1..=largest);
                        let done = blocks.resize(place, size, new);
                        assert!(done || new > size, "shrinking needs no room");
                        if done {
                            model.0.remove(&place);
                            model.insert(place, new);
                        }
                    }
                    _ => {
                        let (size, align) = (random.usize(1..=largest), 1 << random.u32(..6));
                        if let Some(place) = blocks.take(size, align) {
                            assert_eq!(place % align, 0);
                            model.insert(place, size);
                        } else {
                            assert!(
                                align > ALIGN || blocks.top.get() + size + align > SIZE,
                                "it would have fit"
                            );
                        }
                    }
                }
                assert_eq!(blocks.live.get(), model.0.len());
                let end = model.0.last_key_value().map_or(0, |(place, size)| place + size);
                assert!(end <= blocks.top.get(), "seed {seed}: the top is above everything that is taken");
                assert!(
                    !model.0.is_empty() || blocks.top.get() == 0,
                    "seed {seed}: empty means all of it is free"
                );
            }
        }
    }

    /// A call as the generated exports make it: argument, answer that grows and is cut to size, all freed.
    #[test]
    fn a_call_leaves_nothing_behind() {
        let blocks = Blocks::new();
        for _ in 0..1000 {
            let argument = blocks.take(700, 1).expect("room");
            let answer = blocks.take(64, 4).expect("room");
            assert!(blocks.resize(answer, 64, 4096) && blocks.resize(answer, 4096, 300), "the topmost block");
            blocks.give(argument, 700);
            blocks.give(answer, 300);
        }
        assert_eq!((blocks.top.get(), blocks.live.get()), (0, 0));
        assert_eq!(blocks.take(SIZE, 16), Some(0));
        assert_eq!((blocks.take(1, 1), blocks.take(usize::MAX, 1)), (None, None));
    }

    /// The only test that opens it: natively the arena is no allocator, so others do not notice.
    #[test]
    #[allow(unsafe_code, reason = "allocators are unsafe to call")]
    fn blocks_keep_their_bytes_as_they_grow_out_of_the_arena() {
        let arena = Box::new(Arena::new());
        let layout = Layout::from_size_align(1000, 8).expect("a layout");
        // SAFETY: each block is given back once, with the size that it has, and is written within its size.
        unsafe {
            let early = arena.alloc(layout);
            assert!(arena.place(early).is_none(), "what comes before the first call stays");
            open();
            let first = arena.alloc(layout);
            first.write_bytes(7, 1000);
            assert_eq!(arena.place(first), Some(0));
            let second = arena.alloc(layout);
            assert!(arena.place(second).is_some() && second.addr().is_multiple_of(8));
            second.write_bytes(9, 1000);
            let moved = arena.realloc(first, layout, SIZE);
            assert!(arena.place(moved).is_none(), "it does not fit");
            assert!(std::slice::from_raw_parts(moved, 1000).iter().all(|byte| *byte == 7));
            assert!(std::slice::from_raw_parts(second, 1000).iter().all(|byte| *byte == 9));
            arena.dealloc(second, layout);
            arena.dealloc(early, layout);
            arena.dealloc(moved, Layout::from_size_align(SIZE, 8).expect("a layout"));
        }
        assert_eq!((arena.blocks.top.get(), arena.blocks.live.get()), (0, 0));
    }
}
