"""Converts an encoded image to the input of EfficientNet-Lite0. The only definition of this step, for GPU and CPU.

The image is resized so that its shorter side has 256 pixels, and cropped to the middle 224 x 224, as RGB from -1 to 1.
"""

from __future__ import annotations

from nvidia.dali import Pipeline, fn, types

MAX_BATCH_SIZE = 8  # max_batch_size of config.pbtxt
SHORTER_SIDE = 256  # pixels
SIZE = 224  # pixels
MEAN, DEVIATION = 127.0, 128.0  # of the checkpoint's training


def define(device_id: int | None) -> Pipeline:
    """Return the pipeline: it decodes on the GPU with that number (nvJPEG), or for None on the CPU."""
    with Pipeline(batch_size=MAX_BATCH_SIZE, num_threads=1, device_id=device_id) as pipeline:
        encoded = fn.external_source(name="encoded", device="cpu", dtype=types.UINT8, ndim=1)
        image = fn.decoders.image(encoded, device="cpu" if device_id is None else "mixed", output_type=types.RGB)
        image = fn.resize(image, resize_shorter=SHORTER_SIDE, interp_type=types.INTERP_TRIANGULAR)
        normalised = fn.crop_mirror_normalize(
            image,
            crop=(SIZE, SIZE),
            dtype=types.FLOAT,
            output_layout="CHW",
            mean=[MEAN] * 3,
            std=[DEVIATION] * 3,
        )
        pipeline.set_outputs(normalised)
    return pipeline
