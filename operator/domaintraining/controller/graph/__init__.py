"""The domain in Neo4j: what it should hold (pure), the one seam to it, and the queue of what is to write."""
