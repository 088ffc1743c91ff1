"""Evaluation: does recall find what was said, and does deduplication keep what has changed?"""
