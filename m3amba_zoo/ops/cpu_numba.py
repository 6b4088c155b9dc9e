"""What the CPU kernels need beyond numba: a vector of sixteen float32 numbers, and a cache of kernels.

numba vectorises a loop only if LLVM can prove that this is safe, which fails for the scan's loops. Here the
vector is a type of its own, so an operation is one instruction on AVX-512, two on AVX2 and four on NEON.
``a * b + c`` becomes a fused multiply-add if the processor has one.

Kernels are compiled once, cached on disk between runs, and this is logged when it happens.
"""

from __future__ import annotations

import hashlib
import logging
import operator
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import njit, typeof
from numba.core import cgutils, types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import lower_builtin, models, register_model, type_callable

LANES = 16
logger = logging.getLogger(__name__)

_FLOAT = ir.FloatType()
_INT = ir.IntType(32)
_FLOATS = ir.VectorType(_FLOAT, LANES)
_INTS = ir.VectorType(_INT, LANES)
_FUSE = ("contract",)  # allows only that a product and a sum become one instruction

# 2^f = 1 + f c_1 + f^2 c_2 + ... for f in [-1/2, 1/2]: minimax, relative error 1.1e-7 after rounding; exact
# at 0, because a decay close to 1 is applied a thousand times
_EXP2 = (
    1.0, 0.693146977557818, 0.24022242076983605, 0.055507337776548996, 0.009671513022327943,
    0.0013264720364918588,
)  # fmt: skip
# log(1 + z) / z for z in [0, 1]: minimax, relative error 6e-8 after rounding
_LOG1P = (
    0.9999999700452533, -0.4999949357938954, 0.3331909960916872, -0.2484298689914037, 0.1910599465527127,
    -0.1366318726240845, 0.07822504845166457, -0.029504607636352955, 0.005232525332704489,
)  # fmt: skip
_LOG2_E = 1.4426950408889634
# adding 1.5 * 2^23 rounds a float32 to an integer and leaves that integer in the low bits
_ROUNDER = float(3 * 2**22)
_MIN_EXPONENT, _MAX_EXPONENT = -125, 127  # the mantissa is at least 2^-0.5: no denormal numbers
_LEAST_SCALED = -160  # 2^-160 is 0
_AVX512_SCALE = "llvm.x86.avx512.mask.scalef.ps.512"  # x, y -> x 2^floor(y), exact at every limit

intrinsic: Callable[[Callable], Any] = numba_intrinsic  # numba's own type hints miss how kernels call one


class Float32x16(types.Type):
    """numba's type of the vector."""


vector = Float32x16("Float32x16")


@register_model(Float32x16)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, numba_type) -> None:
        super().__init__(manager, numba_type, _FLOATS)


def _register_arithmetic(function: Callable, instruction: str) -> None:
    @type_callable(function)
    def _type(context):
        return lambda left, right: vector if left is vector and right is vector else None

    @lower_builtin(function, Float32x16, Float32x16)
    def _lower(context, builder, signature, arguments):
        return getattr(builder, instruction)(*arguments, flags=_FUSE)


for _function, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _register_arithmetic(_function, _instruction)


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_FLOATS, [ir.Constant(_FLOAT, value)] * LANES)


def _integers(values: Sequence[int]) -> ir.Constant:
    return ir.Constant(_INTS, [ir.Constant(_INT, value) for value in values])


def _element(context, builder, array_type, array, index):
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _address(context, builder, array_type, array, index):
    return builder.bitcast(_element(context, builder, array_type, array, index), _FLOATS.as_pointer())


def _read(context, builder, array_type, array, index):
    read = builder.load(_address(context, builder, array_type, array, index))
    read.align = 4
    return read


def _write(context, builder, array_type, array, index, value) -> None:
    builder.store(value, _address(context, builder, array_type, array, index)).align = 4


def _spread(builder, scalar):
    one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), scalar, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, one, _integers([0] * LANES))


def _fused(builder, a, b, c):
    function = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
    name = f"llvm.fmuladd.v{LANES}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), [a, b, c])


def _polynomial(builder, x, coefficients):
    value = _constant(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = _fused(builder, value, x, _constant(coefficient))
    return value


def _larger(builder, bound, x):
    """Return the maximum, or x if x is NaN; this order of the operands makes it one instruction."""
    return builder.select(builder.fcmp_ordered(">", bound, x), bound, x)


def _bounded(builder, x, least, greatest=None):
    """Return x within bounds, or NaN if x is NaN."""
    x = _larger(builder, _constant(least), x)
    if greatest is None:
        return x
    greatest = _constant(greatest)
    return builder.select(builder.fcmp_ordered("<", greatest, x), greatest, x)


def _exp2_product(context, builder, a, b):
    scales = "+avx512f" in context.codegen().magic_tuple()[2]  # one instruction, which knows infinity
    shifted = _fused(builder, a, b, _constant(_ROUNDER))
    limits = (_LEAST_SCALED,) if scales else (_MIN_EXPONENT, _MAX_EXPONENT)
    shifted = _bounded(builder, shifted, *(_ROUNDER + limit for limit in limits))
    whole = builder.fsub(shifted, _constant(_ROUNDER))
    fraction = _fused(builder, a, b, builder.fneg(whole))
    fraction = _bounded(
        builder, fraction, *((-0.5,) if scales else (-0.5, 0.5))
    )  # beyond the limits it is none
    mantissa = _polynomial(builder, fraction, _EXP2)
    if scales:
        mask = ir.IntType(16)
        function = ir.FunctionType(_FLOATS, [_FLOATS, _FLOATS, _FLOATS, mask, _INT])
        scale = cgutils.get_or_insert_function(builder.module, function, _AVX512_SCALE)
        as_it_is_set = ir.Constant(_INT, 4)  # the rounding
        return builder.call(scale, [mantissa, whole, whole, ir.Constant(mask, -1), as_it_is_set])
    exponent = builder.shl(builder.bitcast(shifted, _INTS), _integers([23] * LANES))
    return builder.bitcast(builder.add(builder.bitcast(mantissa, _INTS), exponent), _FLOATS)


def _exp_of_minus_magnitude(context, builder, x):
    magnitude = _larger(builder, builder.fneg(x), x)
    return _exp2_product(context, builder, magnitude, _constant(-_LOG2_E))


def _halves(builder, even, odd, first: Sequence[int], second: Sequence[int]):
    """Return two vectors, each of chosen elements of ``even`` followed by ``odd``."""
    return [builder.shuffle_vector(even, odd, _integers(chosen)) for chosen in (first, second)]


@intrinsic
def load(typing_context, array, index):
    """``load(array, index)``: array[index : index + 16] of a flat contiguous float32 array."""

    def emit(context, builder, signature, arguments):
        return _read(context, builder, signature.args[0], *arguments)

    return vector(array, types.int64), emit


@intrinsic
def store(typing_context, array, index, value):
    """``store(array, index, value)``: array[index : index + 16] = value."""

    def emit(context, builder, signature, arguments):
        _write(context, builder, signature.args[0], *arguments)
        return context.get_dummy_value()

    return types.void(array, types.int64, vector), emit


@intrinsic
def spread(typing_context, array, index):
    """``spread(array, index)``: array[index] in every lane."""

    def emit(context, builder, signature, arguments):
        return _spread(builder, builder.load(_element(context, builder, signature.args[0], *arguments)))

    return vector(array, types.int64), emit


@intrinsic
def fill(typing_context, scalar):
    """``fill(scalar)``: one number in every lane."""
    return vector(types.float32), lambda context, builder, signature, arguments: _spread(builder, *arguments)


@intrinsic
def exp2_product(typing_context, a, b):
    """``exp2_product(a, b)``: 2^(a b), relative error 2e-7.

    Beyond float32's range it is 0 or infinity; without AVX-512 its exponent is limited to -125 and 127.
    """

    def emit(context, builder, signature, arguments):
        return _exp2_product(context, builder, *arguments)

    return vector(vector, vector), emit


@intrinsic
def softplus(typing_context, x):
    """``softplus(x)``: log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))."""

    def emit(context, builder, signature, arguments):
        (x,) = arguments
        z = _exp_of_minus_magnitude(context, builder, x)
        return _fused(builder, z, _polynomial(builder, z, _LOG1P), _larger(builder, _constant(0.0), x))

    return vector(vector), emit


@intrinsic
def sigmoid(typing_context, x):
    """``sigmoid(x)``: 1 / (1 + exp(-x)), the derivative of softplus."""

    def emit(context, builder, signature, arguments):
        (x,) = arguments
        z = _exp_of_minus_magnitude(context, builder, x)
        positive = builder.fcmp_ordered(">", x, _constant(0.0))
        numerator = builder.select(positive, _constant(1.0), z)
        return builder.fdiv(numerator, builder.fadd(z, _constant(1.0)))

    return vector(vector), emit


@intrinsic
def sum_lanes(typing_context, array, index):
    """``sum_lanes(array, index)``: lane i is the sum of the vector at array[index + 16 i]."""

    def emit(context, builder, signature, arguments):
        array, index = arguments
        rows = []
        for row in range(LANES):
            place = builder.add(index, ir.Constant(index.type, row * LANES))
            rows.append(_read(context, builder, signature.args[0], array, place))
        distance = 1
        # of each pair of vectors: sums of the one in lanes without this bit, of the other in lanes with it
        while len(rows) > 1:
            own = [lane + LANES * bool(lane & distance) for lane in range(LANES)]
            across = [lane ^ distance for lane in own]
            rows = [
                builder.fadd(*_halves(builder, *pair, own, across))
                for pair in zip(rows[::2], rows[1::2], strict=True)
            ]
            distance *= 2
        return rows[0]

    return vector(array, types.int64), emit


@intrinsic
def transpose(typing_context, array, index):
    """``transpose(array, index)``: transpose the 16 x 16 numbers that start at array[index] in place."""

    def emit(context, builder, signature, arguments):
        array, index = arguments
        places = [builder.add(index, ir.Constant(index.type, row * LANES)) for row in range(LANES)]
        rows = [_read(context, builder, signature.args[0], array, place) for place in places]
        half = LANES // 2
        low = [i for pair in zip(range(half), range(LANES, LANES + half), strict=True) for i in pair]
        for _ in range(LANES.bit_length() - 1):  # each round rotates the bits of (row, column) by one
            rows = [
                merged
                for pair in zip(rows[:half], rows[half:], strict=True)
                for merged in _halves(builder, *pair, low, [i + half for i in low])
            ]
        for place, row in zip(places, rows, strict=True):
            _write(context, builder, signature.args[0], array, place, row)
        return context.get_dummy_value()

    return types.void(array, types.int64), emit


@intrinsic
def prefetch(typing_context, array, index):
    """``prefetch(array, index)``: fetch the cache line of array[index], which may lie outside the array."""

    def emit(context, builder, signature, arguments):
        byte_pointer = ir.IntType(8).as_pointer()
        function = ir.FunctionType(ir.VoidType(), [byte_pointer, _INT, _INT, _INT])
        place = _element(context, builder, signature.args[0], *arguments)
        builder.call(
            cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch"),
            [builder.bitcast(place, byte_pointer)] + [ir.Constant(_INT, flag) for flag in (0, 3, 1)],
        )
        return context.get_dummy_value()

    return types.void(array, types.int64), emit


_lock = threading.Lock()
_SHARED_SOURCES = [Path(__file__).with_name(name).read_bytes() for name in ("cpu_numba.py", "cpu_tile.py")]
_SHARED_DIGEST = hashlib.sha256(b"".join(_SHARED_SOURCES)).hexdigest()


class _PackageCache(FunctionCache):
    """numba's cache, which watches a kernel's own file, extended to the files that kernels share."""

    def _index_key(self, signature, codegen):
        return *super()._index_key(signature, codegen), _SHARED_DIGEST


def kernel(function: Callable) -> Any:
    """Make a numba kernel that runs without the interpreter's lock and is cached on disk if possible.

    numba tries the source file's folder, then the user's cache; ``NUMBA_CACHE_DIR`` names another folder.
    """
    dispatcher: Any = njit(nogil=True)(function)
    try:
        dispatcher._cache = _PackageCache(function)
    except RuntimeError:  # no folder is writable: every run compiles again
        logger.debug("no folder is writable for the compiled kernels; set NUMBA_CACHE_DIR")
    return dispatcher


def compile_for(dispatcher: Any, arguments: tuple) -> None:
    """Compile a kernel for these arguments, or read it from the cache, unless that has been done.

    Logs the seconds that compiling took as a warning, because users see warnings by default.
    """
    if dispatcher.signatures:  # compiled: each argument of a kernel has one type only
        return
    with _lock:
        if dispatcher.signatures:
            return
        started, place = time.perf_counter(), dispatcher.stats.cache_path
        outcome = f"kept for the next run in {place}" if place else "set NUMBA_CACHE_DIR to keep it"
        try:
            dispatcher.compile(tuple(map(typeof, arguments)))
        except OSError as error:
            if not dispatcher.signatures:
                raise
            outcome = f"it could not be kept for the next run: {error}"
        if dispatcher.stats.cache_misses:
            name = f"{dispatcher.__module__.rpartition('.')[2]}.{dispatcher.__name__}"
            seconds = time.perf_counter() - started
            logger.warning("compiled the CPU scan (%s) in %.1f s; %s", name, seconds, outcome)
