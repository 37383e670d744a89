"""Why the last axis is the vocabulary, and how emb_dim turns into it: measured, then put into words."""
