"""Running a backbone over images, in chunks that resume and are shared."""
