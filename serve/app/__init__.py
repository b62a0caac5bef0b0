"""The aiohttp application: health, metrics, and the invocations that Triton does not understand by itself."""
