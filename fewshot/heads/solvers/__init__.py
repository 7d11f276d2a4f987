"""Mathematics that several heads share."""
