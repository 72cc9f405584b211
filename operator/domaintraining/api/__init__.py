"""The models of the custom resource, the run and the report: pydantic only, no I/O."""
