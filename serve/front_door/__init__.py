"""The front door: HAProxy on the SageMaker port."""

from serve.front_door.configuration import NOISE_OF_THE_END, FrontDoor, render

__all__ = ["NOISE_OF_THE_END", "FrontDoor", "render"]
