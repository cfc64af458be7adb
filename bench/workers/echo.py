"""The worker in Python of R1 to R3: gives each task's input back."""

from typing import Any

from surefoot import Worker

worker = Worker(slots=256, name="bench-python")


@worker.handler("conformance.echo")
async def echo(value: Any) -> Any:
    return value


if __name__ == "__main__":
    worker.run()
