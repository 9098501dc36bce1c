# nstbatch on the processor, from the wheel: docs/releasing.md says how to build and try it.
FROM python:3.11-slim-bookworm

COPY constraints.txt dist/nstbatch-*.whl /tmp/
# hadolint ignore=DL3013 -- the constraints pin every package
RUN wheel=$(ls /tmp/nstbatch-*.whl) \
    && pip install --no-cache-dir -c /tmp/constraints.txt "${wheel}[cpu]" \
    && rm "${wheel}" /tmp/constraints.txt \
    && useradd --create-home --uid 1000 painter

USER 1000
# Any user may write here; mount a folder of your own to keep the prepared graphs.
ENV NSTBATCH_CACHE=/tmp/nstbatch-cache
WORKDIR /pictures
ENTRYPOINT ["nstbatch"]
CMD ["--help"]
