//! Fewer reports of comparisons to the fuzzer, which were a third of the time: those of which it makes nothing. It takes numbers of 4 and of 8 bytes
//! that were compared for its mutations; two that are equal already, and smaller ones, count only in its value profiles
//! (`-use_value_profile`, which `tests/fuzz.sh` does not ask for).
//!
//! The linker puts `__wrap_NAME` where the instrumented code calls `NAME`, which is `__real_NAME` here (`--wrap`, in the Makefile). They are in
//! assembler because all else here is instrumented.

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
    "jne __real___sanitizer_cov_trace_\\name",
    "ret",
    ".endm",
    "ignore_compare cmp1",
    "ignore_compare const_cmp1",
    "ignore_compare cmp2",
    "ignore_compare const_cmp2",
    "pass_compare cmp4, edi, esi",
    "pass_compare const_cmp4, edi, esi",
    "pass_compare cmp8, rdi, rsi",
    "pass_compare const_cmp8, rdi, rsi",
);
