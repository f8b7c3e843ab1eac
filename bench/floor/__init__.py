"""The least that a Chalice application with DynamoDB can be."""
