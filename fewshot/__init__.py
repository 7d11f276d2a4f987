"""Few-shot vision evaluation, with the error of every episode predicted from its support."""
__version__ = "0.1.0"
