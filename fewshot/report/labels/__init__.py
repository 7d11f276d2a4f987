"""What people read of labels that a fitted classifier gives: terminal, CSV, JSON, page."""
