"""The role `import`: what AegisRAG exported, as samples of today's form."""
