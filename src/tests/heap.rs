//! The allocator of the unit tests: the system's own, which counts for each thread what is asked for.
//!
//! A count is of one thread, so tests that run beside it do not disturb it. What is given back is not counted: it is about work done,
//! not about memory held.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static HEAP: Heap = Heap;

struct Heap;

thread_local! {
    // Neither made on first use nor dropped at the end, so that it can be used from within an allocation.
    static ASKED: Cell<Asked> = const { Cell::new(Asked { allocations: 0, bytes: 0 }) };
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// How often: an allocation that grows or shrinks is another one, because it may have to be copied.
    pub allocations: u64,
    /// How many bytes in all, the whole of it when an allocation changes its size.
    pub bytes: u64,
}

fn note(size: usize) {
    ASKED.set({
        let Asked { allocations, bytes } = ASKED.get();
        Asked { allocations: allocations + 1, bytes: bytes + size as u64 }
    });
}

// SAFETY: every call goes on to the system's allocator as it came; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps to the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: `memory` comes from the system's allocator, as all of ours does.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as in `realloc`.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Counts what some work asks for on this thread; what it returns is dropped afterwards.
#[inline(never)]
pub(super) fn count<T>(todo: impl FnOnce() -> T) -> Asked {
    let before = ASKED.get();
    let done = work(todo);
    let after = ASKED.get();
    drop(done);
    Asked { allocations: after.allocations - before.allocations, bytes: after.bytes - before.bytes }
}

/// Does it. By the names of this function and of [`count`] callgrind knows where to begin and where to end.
#[inline(never)]
fn work<T>(todo: impl FnOnce() -> T) -> T {
    todo()
}

#[test]
fn what_is_asked_for_is_counted_and_what_is_given_back_is_not() {
    let asked = |allocations, bytes| Asked { allocations, bytes };
    assert_eq!(count(|| ()), asked(0, 0));
    assert_eq!(count(|| vec![1_u8; 100]), asked(1, 100));
    assert_eq!(count(|| vec![0_u64; 100]), asked(1, 800), "memory that is zero already");
    assert_eq!(count(|| drop(vec![1_u8; 100])), asked(1, 100));
    let mut text = String::with_capacity(10);
    assert_eq!(count(|| text.reserve_exact(30)), asked(1, 30), "the whole of what has grown");
}

#[test]
fn what_other_threads_ask_for_is_not_counted() {
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let (done, end) = std::sync::mpsc::sync_channel::<Asked>(1);
    let other = std::thread::spawn(move || {
        wait.recv().expect("there is a start");
        done.send(count(|| vec![1_u8; 1 << 20])).expect("somebody waits");
    });
    let mut heard = None;
    let here = count(|| {
        go.send(()).expect("somebody waits");
        heard = end.recv().ok();
    });
    other.join().expect("it does not panic");
    assert_eq!(heard, Some(Asked { allocations: 1, bytes: 1 << 20 }));
    assert!(here.bytes < 1 << 16, "{here:?}");
}
