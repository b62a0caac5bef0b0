"""Media types of requests and responses, and how they are recognized."""
