"""A real node on this machine: containerd, kubelet, kube-proxy and DNS beside the sandbox's control plane."""
