"""Where a forward pass attends, found by what its operations do, and what each head looks at."""
