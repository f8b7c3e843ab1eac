"""HTTP in, HTTP out: the table of routes, and what turns a request into an answer."""
