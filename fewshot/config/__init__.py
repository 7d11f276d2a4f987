"""Hydra's side: composing settings, and its errors in the house form."""
