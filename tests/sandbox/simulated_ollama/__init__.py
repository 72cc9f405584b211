"""A simulated model server: Ollama's protocol, a latency model, and an in-context learner for a model.

It is no language model. Its answers are a function of the prompt alone, and everything it says about itself
says `simulated`: no figure of it is a result of a real model.
"""
