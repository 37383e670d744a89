"""A model that is spread over a mesh of processes: which part each holds, simulated or measured."""
