"""How good answers are: F1, intervals, comparisons."""
