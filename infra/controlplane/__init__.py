"""A real Kubernetes control plane on loopback, for the tests that only the real thing can answer.

`build` finds or compiles the programs, `credentials` and `components` say how they are run,
`supervisor` keeps them and ends them, `run` puts it all together, and
`python -m infra.controlplane` is the command line.
"""
