"""``nstbatch serve``: paints the photos that come in over HTTP."""

from __future__ import annotations

import typer

from nstbatch.cli.console.logs import import_onnxruntime, set_verbosity
from nstbatch.cli.extras import extra_needed
from nstbatch.cli.options.computing import ComputingForClients
from nstbatch.cli.options.reporting import Quiet, Verbose
from nstbatch.cli.options.serving import Serving
from nstbatch.cli.parsing.with_groups import with_groups


@with_groups
def serve(
    serving: Serving = Serving(),
    computing: ComputingForClients = ComputingForClients(),
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Paint the photos that come in over HTTP.

    Clients send a photo, a style and options of `nstbatch stylize` to /jobs,
    and fetch the result when it is ready. /openapi.json describes this, and / is
    a page for people. Jobs are kept in a folder: a service that was killed goes
    on with them when it is started again. Ctrl-C or SIGTERM ends it.

    Exit codes: 0 ended by a signal, 1 ended by a fault, 2 wrong usage,
    130 ended by a signal in the middle of a step.
    """
    set_verbosity(quiet=quiet, verbose=verbose)
    import_onnxruntime()
    with extra_needed("serve", "The service"):
        from nstbatch.cli.service import server
    from nstbatch.cli.service.limits import Limits
    from nstbatch.cli.service.style_folder import StyleFolder
    from nstbatch.runtime.formats.limits import set_max_pixels
    from nstbatch.runtime.systems.style_transfer import StyleTransfer

    place = server.Place(serving.host, serving.port, serving.token)
    limits = Limits(
        upload=serving.upload_bytes,
        side=serving.largest_size,
        steps=serving.most_iterations,
        waiting=serving.most_waiting,
        kept=serving.most_kept,
    )
    styles = StyleFolder(serving.styles)
    if serving.max_pixels is not None:
        set_max_pixels(serving.max_pixels)
    with StyleTransfer(computing.model, **computing.place) as transfer:
        code = server.serve(
            place,
            serving.out,
            transfer,
            styles,
            limits,
            together=computing.together,
            quiet=quiet,
        )
    raise typer.Exit(code)
