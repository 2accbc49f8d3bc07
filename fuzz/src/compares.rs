//! Fewer reports of comparisons to the fuzzer, which were a third of the time: those of which it makes nothing. It takes numbers of 4 and of 8 bytes
//! that were compared for its mutations; two that are equal already, and smaller ones, count only in its value profiles
//! (`-use_value_profile`, which `tests/fuzz.sh` does not ask for). Of the others it keeps the last 32 of each width, so that those of one input in
//! eight are as good as those of all.
//!
//! The linker puts `__wrap_NAME` where the instrumented code calls `NAME`, which is `__real_NAME` here (`--wrap`, in the Makefile). They are in
//! assembler because all else here is instrumented.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Inputs until the next one whose comparisons are reported: then 0.
static UNHEARD: AtomicU8 = AtomicU8::new(0);
const LAST_UNHEARD: u8 = 7;

/// Another input begins.
pub(crate) fn next() {
    UNHEARD.store(UNHEARD.load(Relaxed).checked_sub(1).unwrap_or(LAST_UNHEARD), Relaxed);
}

std::arch::global_asm!(
    ".macro ignore_compare name",
    ".globl __wrap___sanitizer_cov_trace_\\name",
    "__wrap___sanitizer_cov_trace_\\name:",
    "ret",
    ".endm",
    ".macro pass_compare name, one, other",
    ".globl __wrap___sanitizer_cov_trace_\\name",
    "__wrap___sanitizer_cov_trace_\\name:",
    "cmp \\one, \\other",
    "je 1f",
    "cmp byte ptr [rip + {unheard}], 0",
    "je __real___sanitizer_cov_trace_\\name",
    "1: ret",
    ".endm",
    "ignore_compare cmp1",
    "ignore_compare const_cmp1",
    "ignore_compare cmp2",
    "ignore_compare const_cmp2",
    "pass_compare cmp4, edi, esi",
    "pass_compare const_cmp4, edi, esi",
    "pass_compare cmp8, rdi, rsi",
    "pass_compare const_cmp8, rdi, rsi",
    unheard = sym UNHEARD,
);
