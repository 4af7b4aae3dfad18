"""The only place with LLVM IR: the JIT, vector kernels, inline assembly, the thread team."""
