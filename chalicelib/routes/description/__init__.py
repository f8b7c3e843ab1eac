"""The API's own description: loaded when it is asked for, and never at a cold start."""
