"""Say what this installation has and lacks; exit code 1 if a training could not start."""

from __future__ import annotations

import os
import platform
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from types import ModuleType
from typing import Any

from packaging.requirements import Requirement

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import print_json, print_line
from m3amba_zoo.cli.running import require_writable
from m3amba_zoo.disk import existing, folder_bytes, free_disk
from m3amba_zoo.errors import InputError, one_line
from m3amba_zoo.memory import SHARED_MEMORY, free_memory, in_words
from m3amba_zoo.system import CACHE_VARIABLE, OFFLINE_VARIABLE, WEIGHTS_VARIABLE, cache_root, is_offline

CANNOT_TRAIN = 1
WIDTH = 18  # of names
PACKAGE = "m3amba_zoo"
# the packages with a line of their own, and the modules in which their faults show when they are imported
SHOWN = {
    "torch": "torch",
    "numpy": "numpy",
    "mmengine": "mmengine",
    "mmcv-lite": "mmcv",
    "mmpretrain": "mmpretrain",
    "open_clip_torch": "open_clip",
    "timm": "timm",
    "numba": "numba",
    "rasterio": "rasterio",
}
IN_PLACE_OF = {"mmcv-lite": "mmcv"}  # the same modules and more
FOR_DEVELOPERS = ("test",)  # extras
PARTS = ("ops", "scenes", "models", "evaluation", "hub", "engine", "inference")
WEIGHT_FILES = (".safetensors", ".pt", ".pth", ".bin")
ENOUGH_MEMORY = 2**30  # bytes; training m3amba_demo takes nearly as much
ENOUGH_DISK = 100 * 2**20  # bytes; the checkpoints of a small training
PATIENCE = 3.0  # s for the network


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for each thing that was looked at, or one JSON object; return 1 if one is at fault."""
    args = _parser().parse_args(argv)
    found = []
    for finding in findings(args.work_dir):
        found.append(finding)
        if not args.json:
            print_line(f"{finding.name:{WIDTH}}  {'FAULT: ' if finding.fault else ''}{finding.says}")
    faults = [finding.name for finding in found if finding.fault]
    if args.json:
        entries = {one.name: {"says": one.says, "fault": one.fault, **one.facts} for one in found}
        print_json({"can_train": not faults, "faults": faults, "findings": entries})
    elif faults:
        print_line(f"a training cannot start: see {', '.join(faults)}")
    else:
        print_line("a training can start")
    return CANNOT_TRAIN if faults else 0


def _parser() -> CommandParser:
    parser = CommandParser(
        description=f"{__doc__} What the package's own environment variables name must be there.",
        examples=("m3amba doctor", "m3amba doctor --json"),
        exit_codes="exit codes: 0 a training could start, 1 it could not, 2 bad input (docs/commands.md)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--work-dir",
        type=Path,
        default=Path("work_dirs"),
        metavar="DIR",
        help="of trainings (default: work_dirs)",
    )
    return parser


@dataclass(frozen=True)
class Finding:
    """What was found of one thing.

    Attributes:
        name: of the thing.
        says: what was found, in words.
        fault: whether a training could not start because of it.
        facts: the same as JSON values, as far as a program would want them.
    """

    name: str
    says: str
    fault: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


def findings(work_dir: Path) -> Iterator[Finding]:
    """Yield what is found, the causes before what follows from them."""
    yield from _packages()
    parts = _parts()
    yield parts
    if not parts.fault:  # else there is nothing to ask
        yield from _engines()
        yield from _data()
        yield from _weights()
        yield from _caches()
    yield _network()
    yield _memory()
    yield from _shared_memory()
    yield _disk(work_dir)


def _packages() -> Iterator[Finding]:
    yield Finding("python", f"{platform.python_version()}, {platform.system()} {platform.machine()}")
    place = Path(__file__).resolve().parents[1]
    try:
        number = version(PACKAGE)
    except PackageNotFoundError:
        yield Finding(PACKAGE, f"not installed, it runs from {place}; which packages it needs is not known")
        return
    yield Finding(PACKAGE, f"{number} in {place}", facts={"version": number})
    needed = [Requirement(text) for text in requires(PACKAGE) or ()]
    others = {}
    for requirement in needed:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        found, problem = _installed(requirement)
        if requirement.name in SHOWN:
            yield _shown(requirement.name, found, problem)
        elif problem:
            yield Finding(requirement.name, problem, fault=True)
        else:
            others[requirement.name] = found
    yield Finding(
        "other packages", ", ".join(f"{name} {number}" for name, number in others.items()), facts=others
    )
    for extra in metadata(PACKAGE).get_all("Provides-Extra") or ():
        if extra not in FOR_DEVELOPERS:
            yield _extra(extra, needed)


def _installed(requirement: Requirement) -> tuple[str, str]:
    """Return the version of a package, "" if it is absent, and what is wrong with it, "" if nothing is."""
    for name in (requirement.name, IN_PLACE_OF.get(requirement.name)):
        try:
            found = version(name) if name else ""
        except PackageNotFoundError:
            continue
        if found and not requirement.specifier.contains(found, prereleases=True):
            return found, f"{found}, but {requirement.specifier} is needed"
        if found:
            return found, ""
    return "", f"not installed, {requirement.specifier or 'any version'} is needed"


def _shown(name: str, number: str, problem: str) -> Finding:
    facts = {"version": number or None}
    if problem:
        return Finding(name, problem, True, facts)
    module = _imported(SHOWN[name])
    if isinstance(module, str):
        return Finding(name, f"{number}, but it cannot be imported ({module})", True, facts)
    more = ""
    if name == "torch":
        more = f", built for CUDA {module.version.cuda}" if module.version.cuda else ", built without CUDA"
    if name == "rasterio":
        more = f", GDAL {module.__gdal_version__}"
        facts["gdal"] = module.__gdal_version__
    return Finding(name, number + more, facts=facts)


def _imported(name: str) -> ModuleType | str:
    """Import a foreign module; return it, or why it cannot be imported."""
    try:
        return import_module(name)
    except Exception as error:  # libraries built for others fail in many ways
        return one_line(error)


def _extra(extra: str, needed: list[Requirement]) -> Finding:
    of_it = [
        requirement
        for requirement in needed
        if (marker := requirement.marker)
        and marker.evaluate({"extra": extra})
        and not marker.evaluate({"extra": ""})
    ]
    problems = {requirement.name: _installed(requirement)[1] for requirement in of_it}
    lacks = {name: problem for name, problem in problems.items() if problem}
    said = "; ".join(f"{name} is {problem}" for name, problem in lacks.items())
    says = f"not available: {said} (pip install '{PACKAGE}[{extra}]')" if lacks else "available"
    return Finding(f"extra {extra}", says, facts={"available": not lacks})


def _parts() -> Finding:
    for part in PARTS:
        try:
            import_module(f"{PACKAGE}.{part}")
        except (ImportError, OSError) as error:
            return Finding("imports", f"{PACKAGE}.{part} cannot be imported ({one_line(error)})", fault=True)
    return Finding("imports", f"every part of {PACKAGE} can be imported")


def _engines() -> Iterator[Finding]:
    import torch

    from m3amba_zoo.ops.backend import ON_REQUEST, backends, choose

    for name, reason in backends().items():
        available = reason in (None, ON_REQUEST)
        says = "available" + (f", {reason}" if reason else "") if available else f"not available: {reason}"
        yield Finding(f"scan {name}", says, facts={"available": available})
    try:
        yield Finding("scan of a CPU", f"{choose(None, torch.zeros(0)).name} will be used")
    except InputError as error:  # $M3AMBA_SCAN_BACKEND
        yield Finding("scan of a CPU", str(error), fault=True)
    with warnings.catch_warnings(record=True) as said:  # torch's words on a driver that is too old
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            for number in range(torch.cuda.device_count()):
                free, most = torch.cuda.mem_get_info(number)
                name = torch.cuda.get_device_name(number)
                facts = {"free_bytes": free, "bytes": most}
                yield Finding(
                    f"GPU {number}", f"{name}, {in_words(free)} free of {in_words(most)}", facts=facts
                )
            return
    why = one_line(said[0].message) if said else "torch finds no CUDA device"  # type: ignore[arg-type]
    yield Finding("GPU", f"none: {why}")


def _data() -> Iterator[Finding]:
    from m3amba_zoo.registry import SOURCES
    from m3amba_zoo.scenes.source import DATA_ROOT_VARIABLE, data_roots

    sources = (SOURCES.get(name) for name in SOURCES.names())
    folders = sorted({source.folder for source in sources if getattr(source, "folder", "")})
    for root in data_roots():
        given = bool(os.environ.get(DATA_ROOT_VARIABLE))
        name = f"${DATA_ROOT_VARIABLE}" if given else f"data {root}"
        if not root.is_dir():
            yield Finding(name, f"{root}: no such folder", fault=given)
            continue
        found = [folder for folder in folders if _has_files(root / folder)]
        absent = [folder for folder in folders if folder not in found]
        says = f"{root}: {', '.join(found) or 'no dataset'}"
        says += f"; not there: {', '.join(absent)}" if absent else ""
        yield Finding(name, says, facts={"found": found, "absent": absent})


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _weights() -> Iterator[Finding]:
    from m3amba_zoo.hub.resolve import own_cards, places_of, published_models
    from m3amba_zoo.models.encoders.clip_loading import clip_here
    from m3amba_zoo.models.encoders.galileo import SIZES, galileo_here

    named, variable = os.environ.get(WEIGHTS_VARIABLE), f"${WEIGHTS_VARIABLE}"
    try:
        cards = own_cards()
        there = [name for name, model in published_models().items() if places_of(model)]
    except InputError as error:
        yield Finding(variable, str(error), fault=True)
        return
    if named:
        files = [path for path in Path(named).expanduser().rglob("*") if path.suffix in WEIGHT_FILES]
        says = f"{named}: {len(cards)} cards of your own, {len(files)} files of weights"
        yield Finding(variable, says, facts={"cards": list(cards), "files": len(files)})
    else:
        yield Finding(variable, "not set")
    yield Finding("published models", f"here: {', '.join(there) or 'none'}", facts={"found": there})
    clip = clip_here("ViT-B-32-quickgelu", "openai")
    places = {"CLIP ViT-B/32": str(clip.path) if clip else None}
    for size in SIZES:
        galileo = galileo_here(size)
        places[f"Galileo {size}"] = str(galileo[0]) if galileo else None
    for name, place in places.items():
        yield Finding(name, place or "weights are not here", facts={"path": place})


def _caches() -> Iterator[Finding]:
    from huggingface_hub.constants import HF_HUB_CACHE

    from m3amba_zoo.models.encoders.clip_loading import OPENAI_CACHE
    from m3amba_zoo.scenes.encoded import FOLDER

    root = cache_root()
    size, features = folder_bytes(root), folder_bytes(root / FOLDER)
    says = f"{root}: {in_words(size)}, {in_words(features)} of it features of encoders; "
    says += f"{in_words(free_disk(root))} free"
    writable = os.access(existing(root), os.W_OK | os.X_OK)
    says += "" if writable else f"; it cannot be written, ${CACHE_VARIABLE} can name another folder"
    yield Finding("cache", says, facts={"path": str(root), "bytes": size, "writable": writable})
    for name, folder in (
        ("cache of the hub", Path(HF_HUB_CACHE)),
        ("cache of CLIP", OPENAI_CACHE.expanduser()),
    ):
        size = folder_bytes(folder)
        says = f"{folder}: {in_words(size)}" if folder.is_dir() else f"{folder}: empty"
        yield Finding(name, says, facts={"path": str(folder), "bytes": size})


def _network() -> Finding:
    if is_offline():
        return Finding("network", f"forbidden by ${OFFLINE_VARIABLE}", facts={"reached": None})
    import requests  # not in the thread: one that is left behind would change sys.modules under others
    from huggingface_hub.constants import ENDPOINT

    def ask() -> str:
        """Ask the hub of weights for anything; return "" if it answers, else why not."""
        try:
            requests.head(ENDPOINT, timeout=PATIENCE, allow_redirects=False)
        except requests.RequestException as error:
            return type(error).__name__  # its text may have a proxy's password
        return ""

    answer: list[str] = []
    began = time.monotonic()
    # a thread, because the look-up of a name has no limit of its own
    asking = threading.Thread(target=lambda: answer.append(ask()), daemon=True)
    asking.start()
    asking.join(PATIENCE)
    if not answer:
        return Finding("network", f"no answer within {PATIENCE:.0f} s", facts={"reached": False})
    if answer[0]:
        return Finding("network", f"not reached: {answer[0]}", facts={"reached": False})
    return Finding(
        "network", f"the hub of weights answers in {time.monotonic() - began:.1f} s", facts={"reached": True}
    )


def _memory() -> Finding:
    free, limit = free_memory()
    fault = free < ENOUGH_MEMORY
    says = f"{in_words(free)} free, as {limit} has it"
    says += f"; a small training takes {in_words(ENOUGH_MEMORY)}" if fault else ""
    return Finding("memory", says, fault, {"free_bytes": free, "limit": limit})


def _shared_memory() -> Iterator[Finding]:
    """Yield what is free where data workers put their batches, on systems that have such a place."""
    if SHARED_MEMORY.is_dir():
        free = free_disk(SHARED_MEMORY)
        yield Finding("shared memory", f"{in_words(free)} free for data workers", facts={"free_bytes": free})


def _disk(work_dir: Path) -> Finding:
    try:
        require_writable(work_dir)
    except InputError as error:
        return Finding("work dir", str(error), fault=True)
    free = free_disk(work_dir)
    fault = free < ENOUGH_DISK
    says = f"{work_dir}: {in_words(free)} free"
    says += f"; the checkpoints of a small training take {in_words(ENOUGH_DISK)}" if fault else ""
    return Finding("work dir", says, fault, {"path": str(work_dir), "free_bytes": free})
