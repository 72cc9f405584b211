"""The search for a prompt: MIPROv2 unmodified, and what is around it."""
