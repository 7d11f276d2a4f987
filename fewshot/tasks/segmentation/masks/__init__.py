"""Data sets with masks: images, their pixels by class, parts and groups."""
