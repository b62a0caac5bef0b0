"""What Triton's error texts mean."""

from __future__ import annotations

import json

import pytest

from serve.triton.errors import status_of

MEMORY = [
    "CUDA out of memory. Tried to allocate 2.00 GiB",
    "CUDA_OUT_OF_MEMORY",
    "Out of memory",
    "Out Of Memory",
    "MemoryError: ",
    "OutOfMemoryError",
    "OOM when allocating tensor",
    "ran into an OOM",
    "Dst tensor is not initialized",
    "Src tensor is not initialized",
    "CNMEM_STATUS_OUT_OF_MEMORY",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "Failed to allocate memory",
    "failed to allocate memory",
    "std::bad_alloc",
    "[Errno 12] Cannot allocate memory",
    "No space left on device",
]


def body(message: str) -> bytes:
    return json.dumps({"error": message}, separators=(",", ":")).encode()


@pytest.mark.parametrize("message", MEMORY)
@pytest.mark.parametrize("status", [500, 503])
def test_missing_memory(status: int, message: str) -> None:
    """The texts that the stock front end knows, and a few more."""
    assert status_of(status, body(message)) == 507


@pytest.mark.parametrize(
    "message",
    ["unexpected inference input 'out of memory' for model 'bert'", "no OOM", "Stub process x is not healthy"],
)
@pytest.mark.parametrize("status", [400, 404])
def test_a_callers_mistake_may_have_the_words(status: int, message: str) -> None:
    """Triton's errors repeat the caller's words, which must not cause an unload."""
    assert status_of(status, body(message), killed_for_memory=True) == status


@pytest.mark.parametrize("message", MEMORY)
def test_missing_memory_of_a_generate_endpoint(message: str) -> None:
    """Generate endpoints return 400 for every failure."""
    assert status_of(400, body(message), generating=True) == 507


@pytest.mark.parametrize(("killed", "status"), [(True, 507), (False, 500)])
def test_a_dead_process(killed: bool, status: int) -> None:
    message = "Stub process 'bert_0_0' is not healthy."
    assert status_of(500, body(message), killed_for_memory=killed) == status


@pytest.mark.parametrize("message", ["BLOOM has no answer", "model 'ZOOM' is not ready", "room", "memory is cheap"])
def test_what_only_has_the_letters(message: str) -> None:
    assert status_of(500, body(message)) == 500


def test_an_answer_may_speak_of_memory() -> None:
    assert status_of(200, b'{"outputs": "out of memory"}') == 200


@pytest.mark.parametrize(
    "message",
    [
        "failed to parse the request JSON buffer: Invalid value. at 0",
        "failed to parse the request JSON buffer: Missing a comma or '}' after an object member. at 101",
        "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'",
        "Unable to parse 'data': attempt to access JSON non-signed-integer as signed-integer",
        "Unable to parse JSON bytes array: attempt to access JSON non-string as string",
        "Unable to set 'classification': attempt to access JSON non-unsigned-integer as unsigned-integer",
        "failed to get request params.: attempt to get members for non-object",
        "Expected JSON object for keyword: 'parameters': attempt to access JSON non-object as object",
        "attempt to get members for non-object",
    ],
)
def test_what_triton_cannot_read_is_the_callers_fault(message: str) -> None:
    """Its texts are those that the real server gives: see test_bad_requests.py."""
    assert status_of(500, body(message)) == 400


@pytest.mark.parametrize(
    "message",
    [
        "Unexpected EOF while reading the dictionary",
        "Unable to parse the tokens",
        "unable to parse my own table",
        "failed to parse the request JSON buffer",
        "my table: attempt to access JSON non-string as string",
        "Unable to parse 'inputs': attempt to access JSON non-array as array, says the model",
    ],
)
def test_a_models_own_complaint_stays_a_failure(message: str) -> None:
    assert status_of(500, body(message)) == 500


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_any_other_error_keeps_its_status(status: int) -> None:
    assert status_of(status, body("a division by zero")) == status
