"""What works in the background: `MemoryWorker`."""
