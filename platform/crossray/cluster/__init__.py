"""Ray: found or started, the roles of its nodes, and its private names in one file."""
