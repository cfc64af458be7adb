"""The client for programs with an event loop: `Client`, with `await`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from surefoot import _calls, _stream
from surefoot._calls import Call, Reply, Source
from surefoot._retry import RetryPolicy
from surefoot._settings import Settings
from surefoot.errors import StillRunning, SurefootError, unreachable
from surefoot.models import Deployed, Event, LogLine, RunEvent, RunInfo

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class AsyncClient:
    """Deploys definitions, starts runs and follows them.

    `server` and `token` come from `SUREFOOT_SERVER` and `SUREFOOT_TOKEN` if they are not given.
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 10.0,
        attempts: int = 5,
    ) -> None:
        # Its import takes longer than all of this package; who only declares handlers is spared it.
        import httpx

        self._settings = Settings.resolve(server, token)
        self._timeout = timeout
        self._policy = RetryPolicy.of_client(attempts)
        self._http: httpx.AsyncClient = httpx.AsyncClient(
            base_url=self._settings.server,
            headers=self._settings.headers(),
            timeout=timeout,
            trust_env=self._settings.trusts_environment,
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    @property
    def server(self) -> str:
        return self._settings.server

    async def deploy(self, source: Source) -> list[Deployed]:
        """Deploys every workflow of a file (`Path`), of YAML or JSON text, or of a mapping.

        The same content again is the same version. A definition with errors raises `Invalid`.
        """
        return [await self.send(_calls.deploy(it)) for it in _calls.documents(source)]

    async def start(
        self,
        workflow: str,
        input: object = None,  # noqa: A002
        *,
        key: str | None = None,
        version: str | None = None,
        at: datetime | None = None,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> AsyncRun:
        """Starts a run. With a `key` that a run has, that run is returned and nothing starts."""
        info = await self.send(_calls.start(workflow, input, key, version, at, priority, labels))
        return AsyncRun(self, info)

    async def run(self, run_id: str) -> AsyncRun:
        """Looks a run up."""
        return AsyncRun(self, await self.send(_calls.run(run_id)))

    def runs(
        self,
        *,
        workflow: str | None = None,
        status: str | None = None,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        since: datetime | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[RunInfo]:
        """Iterates over all runs that match; pages are fetched as they are needed."""
        filters = _calls.run_filters(workflow, status, key, labels, since, page_size)
        return self.pages("/v1/runs", RunInfo, filters)

    async def pages(
        self, place: str, wanted: type[T], query: Mapping[str, str]
    ) -> AsyncIterator[T]:
        cursor: str | None = None
        while True:
            page, cursor = await self.send(_calls.page(place, wanted, query, cursor))
            for item in page:
                yield item
            if cursor is None:
                return

    async def events(self, *topics: str, last_event_id: str | None = None) -> AsyncIterator[Event]:
        """Follows topics such as `run:ID`, `runs:workflow=order` or `logs:RUN/TASK`, for ever.

        A connection that breaks is made again and goes on where it was. Pass the `id` of an event
        as `last_event_id` to go on where another iteration has stopped.
        """
        follower = _stream.Follower(topics, last_event_id or "", self._policy)
        async with aclosing(self._follow(follower)) as events:
            async for event in events:
                if event.type != _stream.OPENED:
                    yield event

    async def records(self, run_id: str, first: int = 0) -> AsyncIterator[_calls.Record]:
        position: int | None = first
        while position is not None:
            page, position = await self.send(_calls.history(run_id, position))
            for record in page:
                yield record

    async def journal(self, run_id: str) -> AsyncIterator[RunEvent]:
        follower = _stream.Follower([f"run:{run_id}"], "", self._policy)
        journal = _stream.Journal()
        async with aclosing(self._follow(follower)) as events:
            async for event in events:
                live = journal.live(event)
                if live is None:
                    # What is written while the stream is opened is in both, and told once.
                    has_ended = (await self.send(_calls.run(run_id))).has_ended
                    live = [it async for it in self.records(run_id, journal.next_seq)]
                else:
                    has_ended = journal.has_ended(event)
                for told in journal.new(live):
                    yield told
                if has_ended:
                    return

    async def _follow(self, follower: _stream.Follower) -> AsyncGenerator[Event, None]:
        import httpx

        while True:
            try:
                async with self._open(follower) as response:
                    if response.status_code == 200:
                        yield follower.opened()
                        async for piece in response.aiter_raw():
                            for event in follower.feed(piece):
                                yield event
                        delay = follower.ended()
                    else:
                        await response.aread()
                        delay = follower.failed(_reply(response))
            except httpx.TransportError as error:
                delay = follower.failed(unreachable(self.server, error))
            await asyncio.sleep(delay)

    def _open(self, follower: _stream.Follower) -> AbstractAsyncContextManager[httpx.Response]:
        import httpx

        timeout = httpx.Timeout(self._timeout, read=_stream.SILENCE_SECONDS_MAX)
        return self._http.stream(
            "GET",
            _stream.PATH,
            params=follower.query(),
            headers=follower.headers(),
            timeout=timeout,
        )

    async def send(self, call: Call[T]) -> T:
        """Sends one request, again if need be."""
        attempt = 1
        while True:
            outcome = await self._attempt(call)
            if self._policy.is_final(outcome):
                return call.answer(outcome)
            await asyncio.sleep(self._policy.delay_seconds(attempt, call.name, outcome))
            attempt += 1

    async def _attempt(self, call: Call[Any]) -> Reply | SurefootError:
        import httpx

        try:
            response = await self._http.request(
                call.method,
                call.path,
                params=dict(call.query),
                headers=dict(call.headers),
                content=call.body,
                timeout=self._timeout + call.wait_seconds,
            )
        except httpx.TransportError as error:
            return unreachable(self.server, error)
        return _reply(response)


class AsyncRun:
    """A run, by its id. Its attributes are as of the last answer; `refresh` asks again."""

    def __init__(self, client: AsyncClient, info: RunInfo) -> None:
        self._client = client
        self.info = info

    def __repr__(self) -> str:
        return f"<AsyncRun {self.id} of {self.info.workflow}: {self.status}>"

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def status(self) -> str:
        return self.info.status

    async def refresh(self) -> AsyncRun:
        self.info = await self._client.send(_calls.run(self.id))
        return self

    @overload
    async def result(self, wanted: type[T], *, timeout: float | None = None) -> T: ...

    @overload
    async def result(self, *, timeout: float | None = None) -> Any: ...

    async def result(self, wanted: Any = Any, *, timeout: float | None = None) -> Any:
        """Waits for the end and returns the output, as a `wanted` if that is given.

        Raises `RunFailed` or `RunCancelled` if the run ends so, and `StillRunning` if it has not
        ended after `timeout` seconds.
        """
        wait = _stream.Wait(timeout, time.monotonic)
        while True:
            has_ended, output = await self._client.send(
                _calls.result(self.id, wanted, wait.next_seconds())
            )
            if has_ended:
                return output
            if wait.is_over():
                raise StillRunning(self.id, timeout or 0)

    async def signal(self, name: str, data: object = None) -> None:
        """Sends a signal, or an event of a machine."""
        await self._client.send(_calls.signal(self.id, name, data))

    async def cancel(self, reason: str | None = None) -> AsyncRun:
        return await self._control("cancel", reason)

    async def pause(self, reason: str | None = None) -> AsyncRun:
        return await self._control("pause", reason)

    async def resume(self, reason: str | None = None) -> AsyncRun:
        return await self._control("resume", reason)

    async def retry(self, reason: str | None = None) -> AsyncRun:
        """Runs again what failed, was cut off or was undone, and all behind it."""
        return await self._control("retry", reason)

    async def _control(self, verb: str, reason: str | None) -> AsyncRun:
        self.info = await self._client.send(_calls.control(self.id, verb, reason))
        return self

    async def history(self) -> AsyncIterator[RunEvent]:
        """Iterates over what has happened so far."""
        async for record in self._client.records(self.id):
            for event in record.flat():
                yield event

    def logs(self, task: str) -> AsyncIterator[LogLine]:
        """Iterates over the lines that a task has written so far, of all its attempts."""
        place = _calls.path("runs", self.id, "tasks", task, "logs")
        return self._client.pages(place, LogLine, {})

    def events(self) -> AsyncIterator[RunEvent]:
        """Iterates over what has happened and what happens, until the run has ended.

        Each event comes once and in order, also when the connection breaks or the server starts
        anew in between.
        """
        return self._client.journal(self.id)


def _reply(response: httpx.Response) -> Reply:
    return Reply(response.status_code, response.headers, response.content)
