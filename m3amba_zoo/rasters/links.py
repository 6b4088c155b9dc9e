"""HDF5 files that lead to other files, which a file from a stranger must not have read."""

from __future__ import annotations

import h5py

from m3amba_zoo.errors import InputError

WITHIN = (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT)
EXPECTED = "an HDF5 file that holds its arrays itself is expected (h5repack and h5copy make one)"


def check_links(file: h5py.File) -> None:
    """Check that no link of a file leads to another one; none is followed.

    Raises:
        InputError: if one does; the message names it.
    """
    outside: list[bytes] = []

    def visit(name: bytes, about: h5py.h5l.LinkInfo) -> None:
        if about.type not in WITHIN:
            outside.append(name)

    file.id.links.visit(visit, info=True)
    if outside:
        name = outside[0].decode("utf-8", "replace")
        raise InputError(f"{file.filename}: '{name}' is a link to another file; {EXPECTED}")


def check_array(array: h5py.Dataset) -> None:
    """Check that the values of an array lie in its own file.

    Raises:
        InputError: if they are those of other files, raw ones or HDF5.
    """
    plist = array.id.get_create_plist()
    others = [
        name.decode("utf-8", "replace")
        for name, *_ in map(plist.get_external, range(plist.get_external_count()))
    ]
    if plist.get_layout() == h5py.h5d.VIRTUAL:
        others += [
            name for name in map(plist.get_virtual_filename, range(plist.get_virtual_count())) if name != "."
        ]
    if others:
        raise InputError(
            f"{array.file.filename}: the values of '{array.name}' lie in another file, {others[0]}; "
            f"{EXPECTED}"
        )
