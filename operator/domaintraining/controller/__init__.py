"""The controller: the one writer of status, prompt ConfigMaps and the graph. Never imports dspy."""
