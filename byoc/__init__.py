"""Deploy models and a container image to Amazon SageMaker endpoints from a workstation."""
