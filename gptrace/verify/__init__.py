"""Is it right? Kept traces held against each other."""
