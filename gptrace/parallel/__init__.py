"""Predictions for many prompts, in many processes and on many machines, with third-party engines."""
