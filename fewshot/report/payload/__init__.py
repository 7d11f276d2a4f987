"""Data of the HTML page, and the rendering of the page."""
