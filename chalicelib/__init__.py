"""Friends API: the serverless control plane between AI agents and their friends' namespaces."""
