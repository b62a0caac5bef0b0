"""The front door: HAProxy on the SageMaker port."""

from serve.front_door.configuration import STOP_MESSAGES, FrontDoor, ServedModel, TenantMaps, render

__all__ = ["STOP_MESSAGES", "FrontDoor", "ServedModel", "TenantMaps", "render"]
