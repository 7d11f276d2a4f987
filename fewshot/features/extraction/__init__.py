"""Feature extraction in chunks, resumable and shared among processes."""
