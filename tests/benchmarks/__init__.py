"""Side-by-side ratios against peers: `make bench`. Never part of the tests, since machines are noisy."""
