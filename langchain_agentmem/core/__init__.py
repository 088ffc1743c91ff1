"""The parts that every tier is built from. No I/O."""
