"""What the controller costs: memory, requests to the API server, and how soon it does things.

It runs as a process beside a real API server, with the rights of its ServiceAccount. There is no node: pods
stay where the API server has them, and what trainers would report is written by the bench. The model server
is a stub that has one model.
"""
