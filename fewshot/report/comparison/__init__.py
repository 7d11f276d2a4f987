"""Which cells may be compared, and which of them is ahead."""
