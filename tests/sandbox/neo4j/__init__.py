"""The real Neo4j Community, from its Maven artifacts, as a plain process on a Java of the machine."""
