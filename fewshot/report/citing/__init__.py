"""How to cite what runs used: BibTeX, and a paragraph on the protocol."""
