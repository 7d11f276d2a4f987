"""A run: settings to objects, objects to cells, cells to a run folder."""
