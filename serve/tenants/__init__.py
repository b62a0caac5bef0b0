"""The tenants of a multi-model endpoint. Knows no HTTP."""
