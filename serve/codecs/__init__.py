"""Media types of requests and answers, and how they are told apart."""
