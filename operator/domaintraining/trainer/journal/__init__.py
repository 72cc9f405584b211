"""Every answer of the model, kept on the run's volume."""
