"""A model that is sharded over a mesh of processes: one rank is simulated, or all are measured."""
