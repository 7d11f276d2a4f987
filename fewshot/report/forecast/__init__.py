"""What is said of a task of a few labelled images: in the terminal and on a page."""
