"""A simulated node: registers with a real API server like a kubelet and runs pods as local processes.

What is as on a real node: scheduling, volumes, environment, status, exit codes, termination messages,
restarts with back-off, graceful deletion, probes, memory limits (by looking twice a second), logs over TLS,
service account tokens that are renewed, persistent volumes (one folder each).

What is not, because a process has no namespaces of its own:
- A mount path does not exist. Where it stands in command, args or env it is replaced by the local folder, and
  so is the termination message path. What a program has written in its own code is not replaced; for the
  service account's folder the process is given a KUBECONFIG that says the same.
- All pods share the network of the machine: the pod's address is 127.0.0.1, two pods can't listen on one
  port, Services and cluster DNS lead nowhere, network policies have no effect.
- A process may read whatever its user may: nothing keeps pods apart but their tokens.
- Images are a Python interpreter and the machine's own programs. Users, capabilities, read-only root file
  systems, CPU limits and size limits of volumes have no effect.
- Changed ConfigMaps and Secrets are not written into running pods.
A pod that asks for what there is not (init containers, subPath, exec probes, other kinds of volume) fails
with reason NotSimulated, so that nobody takes its silence for success.
"""
