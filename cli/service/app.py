"""The service as an application of FastAPI: its addresses, for any ASGI server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

import nstbatch

from .guard import Guard
from .job import Job, State
from .job_queue import JobQueue
from .limits import Limits, RefusedError
from .orders import Intake, form_schema
from .painters import Painters
from .style_folder import StyleFolder
from .uploads import read_rest

# Seconds between two looks at a job whose progress is sent. A guess.
LOOK = 0.25

PAGE = Path(__file__).parent / "page.html"
SCRIPT = Path(__file__).parent / "page.js"
SHEET = Path(__file__).parent / "page.css"

MOST_LISTED = 1000


@dataclass(frozen=True)
class Service:
    """All that the application works with.

    Attributes:
        queue: The jobs.
        painters: They paint the jobs.
        styles: The styles that are offered by name.
        limits: What a client may ask.
        token: See :class:`.guard.Guard`.
    """

    queue: JobQueue
    painters: Painters
    styles: StyleFolder
    limits: Limits
    token: str | None = None


router = APIRouter()


def make_app(service: Service) -> FastAPI:
    """Return the application; starting and ending the painters is left to the caller."""
    app = FastAPI(
        title="nstbatch",
        version=nstbatch.__version__,
        docs_url=None,  # these two pages load scripts from other sites
        redoc_url=None,
    )
    app.state.service = service
    app.state.intake = Intake(service.queue, service.styles, service.limits, service.painters.check)
    app.add_middleware(Guard, token=service.token)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.include_router(router)
    return app


# Functions that only look at memory are coroutines, and need no thread; those that touch the disk
# are ordinary functions, which FastAPI runs in threads.


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceOfApp = Annotated[Service, Depends(_service)]


async def _job(job: str, service: ServiceOfApp) -> Job:
    return service.queue.get(job)


KnownJob = Annotated[Job, Depends(_job)]


def _view(service: Service, job: Job) -> dict[str, Any]:
    return service.queue.views([job])[0]


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)
    service: Service = request.app.state.service
    await read_rest(request, service.limits.upload)
    return JSONResponse({"detail": error.reason}, error.status, dict(error.headers))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:])
    return JSONResponse({"detail": f"The parameter {name!r} is wrong: {first['msg']}."}, 422)


# --- Jobs -------------------------------------------------------------------------------------


@router.post(
    "/jobs",
    status_code=202,
    openapi_extra={"requestBody": {"required": True, "content": form_schema()}},
)
async def upload(request: Request, service: ServiceOfApp) -> JSONResponse:
    """Let a photo wait to be painted."""
    job = await request.app.state.intake.take(request)
    view = _view(service, job)
    return JSONResponse(view, 202, {"Location": f"/jobs/{view['id']}"})


@router.get("/jobs")
async def jobs(
    service: ServiceOfApp,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100,
    state: State | None = None,
) -> list[dict[str, Any]]:
    """List the latest jobs, the newest first."""
    return service.queue.views(service.queue.latest(limit, state))


@router.get("/jobs/{job}")
async def status(job: KnownJob, service: ServiceOfApp) -> dict[str, Any]:
    """Tell how far a job is."""
    return _view(service, job)


@router.get("/jobs/{job}/events", response_class=EventSourceResponse)
async def events(job: KnownJob, service: ServiceOfApp) -> AsyncIterator[ServerSentEvent]:
    """Send how far a job is, whenever that changes, until it has ended.

    The last event is "done", "failed" or "removed", the others are "progress".
    """
    before: dict[str, Any] = {}
    while not (job.removed.is_set() or service.painters.is_stopped):
        view = _view(service, job)
        if view != before:
            ended = State(view["state"]).is_end
            yield ServerSentEvent(data=view, event=view["state"] if ended else "progress")
            if ended:
                return
            before = view
        await asyncio.sleep(LOOK)
    if job.removed.is_set():
        yield ServerSentEvent(data={"id": job.order.id}, event="removed")


@router.get("/jobs/{job}/picture", response_class=FileResponse)
def picture(job: KnownJob) -> FileResponse:
    """Return the result of a job that is done."""
    path = job.picture
    if path is None:
        reason = job.end.reason if job.end else f"The job is {job.state.value}."
        raise RefusedError(409, f"There is no picture. {reason}")
    if not path.is_file():
        raise RefusedError(410, "The picture is no longer there.")
    name = f"{Path(job.order.name).stem or 'picture'}{path.suffix}"
    return FileResponse(path, filename=name, content_disposition_type="inline")


@router.delete("/jobs/{job}", status_code=204)
def remove(job: KnownJob, service: ServiceOfApp) -> None:
    """Remove a job with its files. One that is running stops before its next step."""
    service.queue.remove(job)


# --- The service ------------------------------------------------------------------------------


@router.get("/styles")
def styles(service: ServiceOfApp) -> list[str]:
    """List the styles that may be named."""
    return list(service.styles.named())


@router.get("/health")
async def health(service: ServiceOfApp) -> JSONResponse:
    """Tell whether the service works, and how many jobs there are."""
    fault = service.painters.fault
    return JSONResponse(
        {"status": fault or "ok", "jobs": service.queue.counts()}, 503 if fault else 200
    )


@router.get("/", include_in_schema=False)
def page() -> FileResponse:
    """Return the page."""
    return FileResponse(PAGE, media_type="text/html; charset=utf-8")


@router.get("/page.js", include_in_schema=False)
def script() -> FileResponse:
    """Return the script of the page."""
    return FileResponse(SCRIPT, media_type="text/javascript; charset=utf-8")


@router.get("/page.css", include_in_schema=False)
def sheet() -> FileResponse:
    """Return the style sheet of the page."""
    return FileResponse(SHEET, media_type="text/css; charset=utf-8")
