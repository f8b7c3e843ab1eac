"""The contract with Cloudflare."""
