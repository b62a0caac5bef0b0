"""From a model directory and a container image to an Amazon SageMaker endpoint, from a workstation."""
