"""A worker's requests. One attempt each: when to try again is the session's business."""

from __future__ import annotations

from surefoot._calls import Reply, path, refusal
from surefoot._settings import Settings
from surefoot.errors import SurefootError, unreachable

TIMEOUT_SECONDS = 10.0
_JSON = {"Content-Type": "application/json"}


class Away(SurefootError):
    """The server cannot be reached, or cannot answer now."""

    def __init__(self, cause: SurefootError, retry_after_seconds: float | None = None) -> None:
        super().__init__(str(cause))
        self.retry_after_seconds = retry_after_seconds


class Wire:
    def __init__(self, settings: Settings) -> None:
        import httpx

        self._server = settings.server
        self._http = httpx.AsyncClient(
            base_url=settings.server,
            headers=settings.headers(),
            timeout=TIMEOUT_SECONDS,
            trust_env=settings.trusts_environment,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=16),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, method: str, place: str, body: bytes = b"{}", wait: float = 0) -> Reply:
        """Raises `Away`; any other refusal is the caller's to understand."""
        import httpx

        try:
            response = await self._http.request(
                method, place, content=body, headers=_JSON, timeout=TIMEOUT_SECONDS + wait
            )
        except httpx.TransportError as error:
            raise Away(unreachable(self._server, error)) from error
        reply = Reply(response.status_code, response.headers, response.content)
        if reply.is_temporary:
            raise Away(refusal(reply, f"{method} {place}"), reply.retry_after_seconds())
        return reply

    async def register(self, body: bytes) -> Reply:
        return await self.send("POST", path("workers"), body)

    async def poll(self, worker: str, body: bytes, wait: float) -> Reply:
        return await self.send("POST", path("workers", worker, "poll"), body, wait)

    async def drain(self, worker: str) -> Reply:
        return await self.send("POST", path("workers", worker, "drain"))

    async def leave(self, worker: str) -> Reply:
        return await self.send("DELETE", path("workers", worker), b"")

    async def lease(self, lease: str, verb: str, body: bytes) -> Reply:
        return await self.send("POST", path("leases", lease, verb), body)
