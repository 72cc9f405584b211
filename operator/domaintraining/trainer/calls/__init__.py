"""Calls of the model: one store of them, the slots of the server, the way over the wire."""
