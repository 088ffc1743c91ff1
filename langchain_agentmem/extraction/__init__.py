"""Extraction: which changes to long-term memory an exchange gives rise to, as a model or a function tells."""
