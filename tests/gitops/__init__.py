"""What Argo CD, Flux and kstatus say about DomainTrainings: states recorded from real runs, and the check."""
