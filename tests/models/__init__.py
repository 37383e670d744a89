"""Models that the tests share."""
