"""The container image: base images, building, and registries."""
