"""Zero-shot one-class classification: whether an image belongs to a class, from its name."""
