"""The front door: HAProxy on the SageMaker port."""

from serve.front_door.configuration import FrontDoor, render

__all__ = ["FrontDoor", "render"]
