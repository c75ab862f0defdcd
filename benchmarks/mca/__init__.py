"""Static proof of speed: every hot loop in llvm-mca's models of CPUs, beside a bound that holds for
any loop that computes the same (docs/speed-proof.md)."""
