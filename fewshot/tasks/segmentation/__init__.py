"""Few-shot segmentation: every pixel to a class, from K annotated images per class."""
