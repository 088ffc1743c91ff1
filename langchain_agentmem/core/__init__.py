"""What every tier is built from, and nothing that does I/O."""
