"""What tasks share: batches of episodes, base classes, settings and keys of cells."""
