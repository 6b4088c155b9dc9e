"""What the commands that take runs say of them; nothing is imported, so that ``-h`` answers at once."""

RUN_HELP = (
    "a work dir with a metrics.json, or a published model; NAME=RUN calls it NAME, and runs of one name are "
    "one model over its seeds"
)
