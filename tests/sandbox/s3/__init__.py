"""A real S3 server: Versity's gateway over a plain folder, built from its Go module."""
