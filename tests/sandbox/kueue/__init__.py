"""The real Kueue, built from its published Go module, as a plain process beside a sandbox's API server."""
