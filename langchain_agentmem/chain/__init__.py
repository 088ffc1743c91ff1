"""A chain with a memory around it: how it is run, and what each exchange reads and writes."""
