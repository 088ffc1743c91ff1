from transformers.utils import logging

__all__ = ["logging"]
