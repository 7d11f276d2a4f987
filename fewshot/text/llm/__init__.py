"""Asking a language model, and checking what it answers."""
