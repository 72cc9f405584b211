"""Tests of the role `import`."""
