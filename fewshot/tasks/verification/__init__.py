"""Open-set verification: whether an image belongs to class c."""
