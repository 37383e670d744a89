"""Text → token ids, and back. Nothing here imports torch."""
