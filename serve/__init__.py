"""What runs in the container: an Amazon SageMaker front end for NVIDIA Triton Inference Server."""
