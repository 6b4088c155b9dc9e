"""A raster that is open for reading, with what is stated of it applied to what its file says.

What is stated (``RasterRequest``) goes before what the file says: bands, masks, scale and offset, names and
wavelengths. Nodata that is stated is added to the file's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from m3amba_zoo.errors import InputError
from m3amba_zoo.memory import require_memory
from m3amba_zoo.rasters.crs import horizontal
from m3amba_zoo.rasters.grid import Grid, difference
from m3amba_zoo.rasters.raster import Nodata, Raster
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.rasters.resampling import in_words, matrix_within, resample
from m3amba_zoo.rasters.stack import Stack
from m3amba_zoo.rasters.store import AlsoMissing, Pixels, Store
from m3amba_zoo.rasters.warped import Warped

SHORTEST_NM = 10.0
"""Shorter wavelengths are those of X-rays, so they are no nm."""
WHOLE = 0.995
"""A raster that covers so much of another's grid covers it, but for what is rounded."""


class OpenRaster:
    """A raster of which rows can be read, with what is known of its bands.

    Attributes:
        path: as messages name it.
        stated: what was stated of the file.
        grid: where its pixels lie.
        header: a Raster without rows: names, wavelengths, numbers, nodata and unit of the bands, and their
            dtype.
        bands_in_file: how many bands the file has, kept or not.
        remarks: sentences on what was left out, guessed or changed, each with the file's name.
        resampled: how bands are resampled, in words; empty if they are not.
    """

    def __init__(self, store: Store, request: RasterRequest, expected: int | None = None) -> None:
        """Take a store's pixels; the store is closed if that fails. See ``open_raster``."""
        self.path, self.stated = str(request), request
        also_missing = _nodata_beside(store.nodata, request.nodata)
        if also_missing:
            store = AlsoMissing(store)
        self._store = self._source = store
        self.bands_in_file = store.count
        crs = horizontal(request.crs) if request.crs and store.transform else store.crs
        self.grid = Grid(store.shape, crs, store.transform, self.path)
        self._on_place: list[str] = store.remarks if isinstance(store, Stack) else []
        self.remarks = [*self._on_place]
        self.resampled = ""
        self._matrix: NDArray[np.float64] | None = None
        self._wanted: NDArray[np.float64] | None = None
        self._grid_of_source = self.grid
        try:
            if 0 in (store.count, *store.shape):
                size = " x ".join(map(str, store.shape))
                raise InputError(f"{self.path}: has {store.count} bands of {size} pixels; one is expected")
            if also_missing and request.nodata is not None:
                both = f"{_listed(request.nodata)} as stated and {_listed(also_missing)} as in the file"
                self._remark(f"nodata is {both}")
            if store.bands.remark:
                self._remark(store.bands.remark)
            self._kept = self._choose(expected)
            self._nodata = self._nodata_of_source = self._nodata_of_file()
            self._scale, self._offset = self._scaling_of_file()
            self.header = self._describe()
        except BaseException:
            store.close()
            raise

    def __enter__(self) -> OpenRaster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    @property
    def files(self) -> tuple[str, ...]:
        """The names that were given, and all files that are read: see ``Store.files``."""
        return tuple(dict.fromkeys((*self.stated.files, *self._source.files)))

    def fingerprint(self) -> str:
        """Return a text that differs for other pixels in memory; empty for pixels of files."""
        return self._source.fingerprint()

    @property
    def has_mask(self) -> bool:
        """Whether a mask tells which values are missing, beside nodata and NaN."""
        return self._store.has_mask and not self._is_scaled

    @property
    def may_lack_values(self) -> bool:
        """Whether values can be missing at all, as far as is known without reading them."""
        return self.header.may_lack_values or self._store.has_mask

    @property
    def named_by_files(self) -> bool:
        """Whether names of bands are names of files, see ``Stack``."""
        return self._store.bands.named_by_files

    def select(self, bands: Sequence[int]) -> None:
        """Keep only these of the bands, in this order."""
        if self._matrix is None or self._wanted is None:
            self._kept = [self._kept[band] for band in bands]
        else:
            self._matrix, self._wanted = self._matrix[list(bands)], self._wanted[list(bands)]
        self.header = self._describe()

    def align(self, grid: Grid, method: str) -> None:
        """Warp the raster to a grid while it is read, unless it lies on it.

        Args:
            grid: becomes the raster's own.
            method: one of ``ALIGN``; see ``Warped``.

        Raises:
            InputError: if the two places cannot be compared, or do not overlap.
        """
        source, own, before = self._source, self._grid_of_source, self._on_place
        self._on_place = []
        if isinstance(source, Stack):
            source.align(grid, method)
            self._nodata = source.nodata
            self._on_place = source.remarks
        elif difference(grid, own):
            self._store = warped = Warped(source, self._nodata_of_source, own, grid, method)
            self._nodata = warped.nodata
            share = f", of which it covers {warped.covered:.0%}" if warped.covered < WHOLE else ""
            self._on_place = [f"{self.path}: is warped to the grid of {grid.path}{share} ({method})"]
        else:
            self._store, self._nodata = source, self._nodata_of_source
        self.remarks[:] = [*(remark for remark in self.remarks if remark not in before), *self._on_place]
        self.grid = grid._replace(path=self.path)
        self.header = self._describe()

    def resample(self, wavelengths: Sequence[float]) -> None:
        """Bring the kept bands to other wavelengths while they are read, see ``resampling_matrix``.

        A value is missing if any of those is missing that it is made of.

        Args:
            wavelengths: of the bands wanted, in nm; they replace the kept ones.

        Raises:
            InputError: if the kept bands have no wavelengths, or do not reach over the wanted ones.
        """
        given = self.header.wavelengths
        if given is None:
            raise InputError(f"{self.path}: the wavelengths of its bands are not known; they are expected")
        try:
            self._matrix = matrix_within(given, wavelengths)
        except InputError as error:
            raise InputError(f"{self.path}: cannot be resampled by wavelength: {error}") from error
        self._wanted = np.asarray(wavelengths, np.float64)
        self.header = self._describe()
        self.resampled = f"{in_words(given)} resampled to {in_words(self._wanted)}"
        self._remark(self.resampled)

    def read(self, first: int = 0, last: int | None = None) -> Raster:
        """Read rows ``first .. last - 1``, by default all, of the kept bands.

        If any band has a scale or an offset, all are float32, NaN where missing; else of the file's dtype.

        Raises:
            InputError: if the file is damaged.
        """
        height, width = self.grid.shape
        window = Window(0, first, width, (height if last is None else last) - first)
        values, mask = self.pixels(range(len(self._kept)), window)
        if mask is not None and not mask.any():
            mask = None
        if self._matrix is None:
            return replace(self.header, data=values, mask=mask)
        nodata = None if self._is_scaled else self._of_kept(self._nodata)
        return replace(
            self.header, data=resample(self._matrix, Raster(values, nodata=nodata, mask=mask).floats())
        )

    def pixels(self, bands: Sequence[int], window: Window) -> Pixels:
        """Read a window of some of the kept bands, scaled.

        Raises:
            InputError: if the file is damaged, or the window is larger than the memory that is free.
        """
        kept = [self._kept[band] for band in bands]
        self._require_memory(len(kept), window)
        pixels = self._store.read(kept, window)
        if not self._is_scaled:
            return pixels
        nodata = tuple(self._nodata[band] for band in kept)
        missing = Raster(pixels.values, nodata=nodata, mask=pixels.mask).missing()
        values = pixels.values * self._scale[kept, None, None] + self._offset[kept, None, None]
        values = values.astype(np.float32)
        values[missing] = np.nan
        return Pixels(values)

    def block_bytes(self, rows: int) -> int:
        """Return the size of the file's blocks that so many adjacent rows touch; 0 for a raster in memory."""
        return self._store.block_bytes(rows)

    def _require_memory(self, bands: int, window: Window) -> None:
        """Raise InputError if a window takes more memory than is free: a file can declare any size."""
        if self._store.held and not self._is_scaled:
            return
        size = max(self._store.dtype.itemsize, 4 if self._is_scaled else 1)
        require_memory(
            self.path,
            bands * window.height * window.width * size + self._store.piece,
            f"{bands} band{'s' * (bands != 1)} of {window.height} x {window.width} {self._store.dtype}",
            "a smaller part of the file, or more memory, is expected",
        )

    @property
    def _is_scaled(self) -> bool:
        return bool((self._scale != 1).any() or (self._offset != 0).any())

    def _of_kept(self, of_file: Sequence[float | None]) -> tuple[float | None, ...]:
        return tuple(of_file[band] for band in self._kept)

    def _describe(self) -> Raster:
        """Return the header of the kept bands."""
        wavelengths, stated = self._store.bands.wavelengths, self.stated.wavelengths
        if stated is not None:
            if len(stated) != self.bands_in_file:
                raise InputError(
                    f"{self.stated.where}: 'wavelengths' has {len(stated)} numbers, but {self.path} has "
                    f"{self.bands_in_file} bands; one per band of the file is expected"
                )
            self._check_wavelengths(stated)
            wavelengths = np.array(stated, np.float64)
        dtype = np.dtype(np.float32) if self._is_scaled else self._store.dtype
        header = Raster(
            np.empty((self.bands_in_file, 0, self.grid.shape[1]), dtype),
            self._store.bands.names,
            wavelengths,
            unit=self.stated.unit,
            path=self.path,
            bands_in_file=self.bands_in_file,
        ).select(self._kept)
        if header.wavelengths is not None and not (header.wavelengths > 0).all():  # of an empty band
            header = replace(header, wavelengths=None)
        if self._wanted is not None:
            data = np.empty((len(self._wanted), 0, self.grid.shape[1]), np.float32)
            return replace(header, data=data, bands=(), wavelengths=self._wanted, numbers=())
        return replace(header, nodata=None if self._is_scaled else _shortened(self._of_kept(self._nodata)))

    def _check_wavelengths(self, stated: Sequence[float]) -> None:
        """Raise InputError if wavelengths that are stated of kept bands can be none in nm."""
        kept = [stated[band] for band in self._kept]
        wrong = [number for number in kept if not number >= SHORTEST_NM]
        if wrong:
            hint = "; these look like micrometres" if all(0 < number < SHORTEST_NM for number in kept) else ""
            raise InputError(
                f"{self.stated.where}: 'wavelengths' has {wrong[0]:g}, but nm are expected, as in 450 for "
                f"blue light{hint}"
            )

    def _choose(self, expected: int | None) -> list[int]:
        """Return the numbers of the bands to keep: those stated, else all but alpha and bad ones."""
        stated, count, alpha = self.stated, self.bands_in_file, self._store.alpha
        marked_bad = self._store.bands.bad
        if alpha and stated.alpha == "mask":
            self._store.mask_by_alpha()
        if stated.bands is not None:
            if max(stated.bands) >= count:
                raise InputError(
                    f"{stated.where}: 'bands' has {max(stated.bands)}, but {self.path} has {count} bands; "
                    f"numbers from 0 to {count - 1} are expected"
                )
            if bad := [band for band in stated.bands if band in marked_bad]:
                self._remark(f"{_numbered(bad)} asked for, though {self._called_bad(bad)}")
            return list(stated.bands)
        kept = [band for band in range(count) if band not in marked_bad]
        if not kept or expected == count:
            kept = list(range(count))
        elif marked_bad:
            self._remark(f"{_numbered(marked_bad)} left out, {self._called_bad(marked_bad)}")
        if alpha and stated.alpha != "data":
            data = [band for band in kept if band not in alpha]
            is_taken = f"band {alpha[0]}, which the file calls alpha, is taken"
            as_asked = f"for {expected} bands are asked for ('alpha' states what it is)"
            if stated.alpha == "mask" or (data and len(data) == expected):
                self._store.mask_by_alpha()
                kept = data
                if stated.alpha is None:
                    self._remark(f"{is_taken} for the mask of missing pixels, {as_asked}")
            elif len(kept) == expected:
                self._remark(f"{is_taken} as data, {as_asked}")
            else:
                raise InputError(
                    f"{self.path}: the file calls band {alpha[0]} (of 0 to {count - 1}) alpha; say whether "
                    "it is data, such as near infrared, or the mask of missing pixels: --alpha data "
                    "or --alpha mask (alpha: in scene.yaml, RasterRequest(alpha=...) in Python)"
                )
        return kept

    def _nodata_of_file(self) -> tuple[float | None, ...]:
        """Return the nodata value of each band of the file."""
        stated = self.stated.nodata
        if stated is None:
            return self._store.nodata
        if not isinstance(stated, tuple):
            return (stated,) * self.bands_in_file
        if len(stated) != self.bands_in_file:
            raise InputError(
                f"{self.stated.where}: 'nodata' has {len(stated)} numbers, but {self.path} has "
                f"{self.bands_in_file} bands; one number, or one per band of the file, is expected"
            )
        return stated

    def _scaling_of_file(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return scale and offset of each band of the file."""
        scale, offset = self._store.scales, self._store.offsets
        of_file = [scale[self._kept] != 1, offset[self._kept] != 0]
        if self.stated.scale is not None:
            scale, of_file[0] = np.full_like(scale, self.stated.scale), np.array(False)
        if self.stated.offset is not None:
            offset, of_file[1] = np.full_like(offset, self.stated.offset), np.array(False)
        self._check_scaling("scale", self.stated.scale, scale)
        self._check_scaling("offset", self.stated.offset, offset)
        if of_file[0].any() or of_file[1].any():
            how = f"{_range(scale[self._kept])} + {_range(offset[self._kept])}"
            self._remark(f"values are the file's numbers x {how}, by its own tags")
        return scale, offset

    def _check_scaling(self, name: str, stated: float | None, values: NDArray[np.float64]) -> None:
        """Raise InputError if a scale or an offset leaves nothing of the values of a kept band."""
        wrong = [band for band in self._kept if not np.isfinite(values[band])]
        if name == "scale":
            wrong += [band for band in self._kept if values[band] == 0]
        if wrong:
            whose = f"{self.path}: band {wrong[0]} has" if stated is None else f"{self.stated.where} states"
            wanted = "a number" if name == "offset" else "a number other than 0"
            raise InputError(
                f"{whose} the {name} {values[wrong[0]]:g}; {wanted} is expected ({name}: "
                f"{0 if name == 'offset' else 1} in scene.yaml, or --{name})"
            )

    def _called_bad(self, bands: Sequence[int]) -> str:
        return f"the file calls {'it' if len(bands) == 1 else 'them'} bad ({self._store.bands.reason})"

    def _remark(self, sentence: str) -> None:
        self.remarks.append(f"{self.path}: {sentence}")


def _nodata_beside(own: Sequence[float | None], stated: Nodata | None) -> tuple[float, ...]:
    """Return a file's nodata values that are not those stated: both mean missing."""
    if stated is None:
        return ()
    known = stated if isinstance(stated, tuple) else (stated,)
    return tuple({value for value in own if value is not None and value == value and value not in known})


def _shortened(nodata: tuple[float | None, ...]) -> Nodata | None:
    """Return one value for bands of one value."""
    first = nodata[0]
    alike = all(value == first or (first != first and value != value) for value in nodata)
    return first if alike else nodata


def _range(values: NDArray[np.float64]) -> str:
    low, high = values.min(), values.max()
    return f"{low:g}" if low == high else f"({low:g} to {high:g})"


def _listed(nodata: Nodata) -> str:
    values = nodata if isinstance(nodata, tuple) else (nodata,)
    return ", ".join("none" if value is None else f"{value:g}" for value in values)


def _numbered(bands: Sequence[int]) -> str:
    """Name bands by their numbers, with ranges: ``bands 0, 3-7 are``."""
    if len(bands) == 1:
        return f"band {bands[0]} is"
    breaks = np.flatnonzero(np.diff(bands) != 1) + 1
    runs = [(int(run[0]), int(run[-1])) for run in np.split(np.asarray(bands), breaks)]
    return f"bands {', '.join(f'{a}-{b}' if b > a else str(a) for a, b in runs)} are"
