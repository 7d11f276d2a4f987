"""Classes as texts, and texts as vectors in the space of a dual encoder's image features."""
