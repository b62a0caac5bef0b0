"""Put load on an endpoint container, and measure it.

`open_loop` sends at a steady rate and measures latency; `closed_loop` sends as fast as responses come and measures
throughput. `client` calls a multi-model container as SageMaker does.
"""
