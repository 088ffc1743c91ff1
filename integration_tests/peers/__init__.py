"""Other libraries, each in an environment of its own: what the evaluation and the benchmarks have in common."""
