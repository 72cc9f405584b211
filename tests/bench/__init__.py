"""The benchmark of the trainer: plain MIPROv2 and this trainer side by side on the simulated model server."""
