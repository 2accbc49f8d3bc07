//! A number for the running thread that costs one instruction.

/// Unique among the threads that live, never 0, 1 or 2; a thread that ends may leave its number to a later one.
#[inline(always)]
pub(crate) fn id() -> usize {
    #[cfg(loom)]
    {
        crate::model::thread_id()
    }
    #[cfg(all(not(loom), target_arch = "x86_64", target_os = "linux"))]
    {
        let id: usize;
        // SAFETY: the x86-64 psABI for thread-local storage: the word at %fs:0 is the thread pointer itself, and never changes.
        unsafe { core::arch::asm!("mov {}, fs:0", out(reg) id, options(pure, nomem, nostack, preserves_flags)) };
        id
    }
    #[cfg(all(not(loom), target_arch = "aarch64", target_os = "linux"))]
    {
        let id: usize;
        // SAFETY: tpidr_el0 holds the thread pointer.
        unsafe { core::arch::asm!("mrs {}, tpidr_el0", out(reg) id, options(pure, nomem, nostack, preserves_flags)) };
        id
    }
    #[cfg(not(any(loom, all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))))]
    {
        thread_local!(static HERE: u8 = const { 0 });
        HERE.with(|here| core::ptr::from_ref(here) as usize)
    }
}
