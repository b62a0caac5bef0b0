"""Deployments: the desired state, the existing state, the plan from one to the other, and carrying it out."""
