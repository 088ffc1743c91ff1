"""Embeddings on this machine: all-MiniLM-L6-v2, the default, and any model of sentence-transformers."""
