"""Open-set classification: queries of the classes of an episode, and of others."""
