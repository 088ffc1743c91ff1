"""`make bench`: what an operation costs, beside the same done without this package, in one run."""
