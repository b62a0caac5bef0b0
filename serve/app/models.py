"""The routes of a multi-model endpoint: SageMaker's contract for loading, listing, unloading and invoking models."""

from __future__ import annotations

import base64
import json
import logging
import re
from bisect import bisect_right

from aiohttp import web

from serve import sagemaker
from serve.app.errors import RequestError
from serve.app.invocations import Invocations
from serve.tenants.errors import (
    AlreadyLoadedError,
    NotLoadedError,
    OutOfResourcesError,
    TenantError,
    TenantLoadError,
)
from serve.tenants.lifecycle import Tenants
from serve.tenants.values import LoadedTenant
from serve.triton.control import ControlError

__all__ = ["ModelRoutes"]

logger = logging.getLogger("serve.app")

NAME = "{name:[^/]+}"  # aiohttp's own pattern excludes braces

# JSON can contain these, file names can't.
UNWRITABLE = re.compile("[\0\ud800-\udfff]")

STATUS: dict[type[Exception], int] = {
    AlreadyLoadedError: 409,
    NotLoadedError: 404,
    OutOfResourcesError: 507,
    TenantLoadError: 400,
    ControlError: 503,
}


class ModelRoutes:
    """Request handlers.

    Args:
        tenants: the tenants.
        invocations: sends invocations to Triton.
    """

    def __init__(self, tenants: Tenants, invocations: Invocations) -> None:
        """No route is added yet."""
        self._tenants = tenants
        self._invocations = invocations

    def register(self, router: web.UrlDispatcher) -> None:
        """Add the routes. A model name is one segment of the path, percent-encoded where it must be."""
        router.add_route("POST", sagemaker.MODELS, self._load)
        router.add_route("GET", sagemaker.MODELS, self._list)
        router.add_route("GET", f"{sagemaker.MODELS}/{NAME}", self._get)
        router.add_route("DELETE", f"{sagemaker.MODELS}/{NAME}", self._unload)
        router.add_route("POST", f"{sagemaker.MODELS}/{NAME}/invoke", self._invoke)

    async def _load(self, request: web.Request) -> web.Response:
        name, url = _load_request(await request.read())
        logger.info("loading %r from %s (target model %s)", name, url, _target_model(request))
        try:
            await self._tenants.load(name, url)
        except (TenantError, ControlError) as error:
            status = _status(error)
            if status < 500:  # 5xx responses are already logged by the middleware
                logger.warning("loading %s failed: %s", name, error)
            raise RequestError(status, str(error)) from error
        return web.json_response(_described(name, url))

    async def _list(self, request: web.Request) -> web.Response:
        self._refuse_while_recovering()
        names = self._tenants.names()
        limit = _limit(request.query.get("limit"))
        start = bisect_right(names, token) if (token := _after(request.query.get("next_page_token"))) else 0
        page = names[start : start + limit]
        content: dict[str, object] = {"models": [self._describe(name) for name in page]}
        if start + limit < len(names):
            content["nextPageToken"] = base64.urlsafe_b64encode(page[-1].encode()).decode()
        return web.json_response(content)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._describe(request.match_info["name"]))

    async def _unload(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        logger.info("unloading %r (target model %s)", name, _target_model(request))
        try:
            await self._tenants.unload(name)
        except (TenantError, ControlError) as error:
            raise RequestError(_status(error), str(error)) from error
        return web.json_response({"modelName": name, "status": "unloaded"})

    async def _invoke(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        return await self._invocations.invoke(request, self._loaded(name).entry)

    def _describe(self, name: str) -> dict[str, str]:
        return _described(name, self._loaded(name).url)

    def _loaded(self, name: str) -> LoadedTenant:
        if (tenant := self._tenants.get(name)) is not None:
            return tenant
        self._refuse_while_recovering()
        raise RequestError(404, f"model {name!r} is not loaded: load it with POST /models")

    def _refuse_while_recovering(self) -> None:
        if not self._tenants.recovered.is_set():
            raise RequestError(503, "the models are being loaded again after a restart: see /ping")


def _target_model(request: web.Request) -> str:
    """Return the archive that SageMaker names in a header. It is for the log only: nothing checks it."""
    return repr(request.headers.get(sagemaker.TARGET_MODEL, "not named"))


def _status(error: Exception) -> int:
    return next(status for kind, status in STATUS.items() if isinstance(error, kind))


def _described(name: str, url: str) -> dict[str, str]:
    return {"modelName": name, "modelUrl": url}


def _load_request(body: bytes) -> tuple[str, str]:
    """Return (model_name, url) of a load request.

    Raises:
        RequestError: it is not what SageMaker sends (400).
    """
    expected = 'expected {"model_name": "…", "url": "…"}'
    try:
        content = json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, f"the body is not JSON ({error}): {expected}") from None
    if not isinstance(content, dict):
        raise RequestError(400, f"the body is a JSON {type(content).__name__}: {expected}")
    for key in ("model_name", "url"):
        if not isinstance(content.get(key), str) or not content[key]:
            raise RequestError(400, f"{key!r} is {content.get(key)!r}: {expected}, both of them text")
        if UNWRITABLE.search(content[key]):
            raise RequestError(400, f"{key!r} is {content[key]!r}: expected text without NUL and unpaired surrogates")
    if "/" in content["model_name"]:
        raise RequestError(400, f"'model_name' is {content['model_name']!r}: expected a name without '/'")
    return content["model_name"], content["url"]


def _limit(text: str | None) -> int:
    if text is None:
        return sagemaker.MODELS_PAGE
    if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= sagemaker.MODELS_PAGE:
        raise RequestError(400, f"limit={text!r}: expected a whole number from 1 to {sagemaker.MODELS_PAGE}")
    return int(text)


def _after(token: str | None) -> str | None:
    """Return the last name of the previous page."""
    if not token:
        return None
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:  # not ASCII, not base64, not UTF-8
        raise RequestError(400, f"next_page_token={token!r}: expected the nextPageToken of the previous page") from None
