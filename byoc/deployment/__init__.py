"""Deployments: what an endpoint is to be, what there is, what has to be done about the difference, and doing it."""
