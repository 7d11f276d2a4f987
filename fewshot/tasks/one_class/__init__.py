"""Is this image a t? Decisions from class names alone."""
