"""What runs around the product: packaging, operator commands and the local stack."""
