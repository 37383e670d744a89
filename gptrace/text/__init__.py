"""Text in, token ids out, and back. Nothing here loads torch."""
