"""Compare kept traces."""
