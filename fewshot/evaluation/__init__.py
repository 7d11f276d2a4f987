"""Runs: objects from the settings, cells from the objects, a run folder from the cells."""
