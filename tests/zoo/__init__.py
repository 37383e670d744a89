"""Every architecture of transformers that predicts the next token, built small and asked everything."""
