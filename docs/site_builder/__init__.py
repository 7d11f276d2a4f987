"""Makes the sources of the documentation site: pages of the repository, and the reference."""
