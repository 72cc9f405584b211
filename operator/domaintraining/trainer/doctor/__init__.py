"""What the answers of a search say about its data and its model; no further call is made."""
