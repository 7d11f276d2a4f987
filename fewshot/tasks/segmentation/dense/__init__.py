"""Dense features: a grid of vectors per image, banked for supports and streamed for queries."""
