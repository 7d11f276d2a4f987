"""What pages without a script share: frame, styles, thumbnails."""
