"""Prompts without end, in many processes and on many machines, by the engines that others wrote for that."""
