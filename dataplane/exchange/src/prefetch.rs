//! The processor's prefetch instruction.

/// Asks the processor to fetch the cache line at the start of `value`, if there is one. Costs one instruction and waits for
/// nothing.
#[inline(always)]
pub fn prefetch<T>(value: Option<&T>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = value {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no effect on memory; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// Asks the processor to take over the cache lines of `value`, which another CPU may have, in order to write them. Costs an instruction
/// a line and waits for nothing; processors without `prefetchw` (Intel before Broadwell) do nothing.
#[inline(always)]
pub(crate) fn prefetch_to_write<T>(value: &T) {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    for line in 0..size_of::<T>().div_ceil(64) {
        let start = std::ptr::from_ref(value).cast::<u8>().wrapping_add(64 * line);
        // SAFETY: a prefetch has no effect on memory. There is no intrinsic for it that doesn't depend on the target's features.
        unsafe {
            std::arch::asm!("prefetchw [{}]", in(reg) start, options(nostack, preserves_flags, readonly));
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    let _ = value;
}
