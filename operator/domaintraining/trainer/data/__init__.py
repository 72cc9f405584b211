"""The samples: read, checked, divided."""
