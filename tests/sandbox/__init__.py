"""A real Kubernetes control plane on any Linux machine, with pods as local processes.

For `make demo`, `make sandbox` and the integration tests: Python, git and make are enough, neither root nor a
container engine is needed. What is not real carries `simulated` in its name: the node, its storage class, the
model server.
"""
