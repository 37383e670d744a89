"""Where a forward pass attends: queries, keys, weights and values, found by what the operations do with them."""
