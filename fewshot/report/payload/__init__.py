"""The data that the page shows, and the page as a file."""
