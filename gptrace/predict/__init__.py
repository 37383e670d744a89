"""From logits to what people asked for."""
