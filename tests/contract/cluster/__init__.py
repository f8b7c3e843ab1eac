"""What a Kubernetes API server does, held against the double and against the real thing."""
