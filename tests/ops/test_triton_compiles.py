"""The Triton kernels compile to an H100's machine code, which needs no GPU, within their registers."""

import re
import subprocess
from pathlib import Path

import pytest

triton = pytest.importorskip("triton", minversion="3.4")  # the compiler as it is called below
CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
if not CUOBJDUMP.is_file():
    pytest.skip("this triton has no CUDA toolchain", allow_module_level=True)

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from m3amba_zoo.ops.gpu import BACKWARD_REGISTERS, CHUNK, FORWARD_CHANNELS  # noqa: E402
from m3amba_zoo.ops.triton_kernels import backward, forward  # noqa: E402

H100 = GPUTarget("cuda", 90, 32)
IN_FLOAT32 = [
    "delta", "weight", "bias", "A", "BC", "D", "y", "raws", "states", "scratch", "du", "dA", "dBC", "dD",
]  # fmt: skip
PAPER = {"SOFTPLUS": True, "n": 16, "N": 16, "BLOCK": FORWARD_CHANNELS, "CHUNK": CHUNK}  # embed_dim 384
OF_FORWARD = {**PAPER, "LOW_RANK": True, "rank": 24, "R": 32}


@pytest.fixture
def registers_and_stack(tmp_path):
    def measure(kernel, dtype, constants, divisible=(), **options):
        """Compile for tensors aligned to 16 bytes; arguments in ``divisible`` are multiples of 16 too."""
        types = dict.fromkeys(IN_FLOAT32, "*fp32") | {"u": f"*{dtype}", "grad": f"*{dtype}", "order": "*i64"}
        names = kernel.arg_names
        signature = {name: "constexpr" if name in constants else types.get(name, "i32") for name in names}
        attributes = {
            (index,): [["tt.divisibility", 16]]
            for index, name in enumerate(names)
            if name in types or name in divisible
        }
        source = ASTSource(kernel, signature, constants, attributes)
        compiled = triton.compile(source, target=H100, options={"num_warps": 1, "num_stages": 1, **options})
        binary = tmp_path / "kernel.cubin"
        binary.write_bytes(compiled.asm["cubin"])
        command = [CUOBJDUMP, "--dump-resource-usage", binary]
        said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        return [int(re.search(rf"{name}:(\d+)", said).group(1)) for name in ("REG", "STACK")]

    return measure


@pytest.mark.parametrize(("dtype", "keep"), [("fp32", False), ("bf16", True)])
def test_forward_leaves_room_for_16_programs(registers_and_stack, dtype, keep):
    registers, stack = registers_and_stack(forward, dtype, OF_FORWARD | {"KEEP": keep})
    assert (registers <= 128, stack) == (True, 0)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_backward_leaves_room_for_12_programs(registers_and_stack, dtype):
    registers, stack = registers_and_stack(
        backward, dtype, PAPER, divisible=("channels",), maxnreg=BACKWARD_REGISTERS
    )
    assert registers <= 168
    assert stack <= 256  # bytes per lane that do not fit in registers; the L1 cache holds them


@pytest.mark.parametrize(("n", "warps"), [(1, 1), (256, 8)])
def test_extreme_states_and_sizes_of_one_compile(registers_and_stack, n, warps):
    """Triton turns every size of 1 into a constant."""
    ones = ("groups", "sets", "length", "rounds", "delta_stride", "sets_now", "directions")
    constants = {"SOFTPLUS": False, "n": n, "N": n, "BLOCK": 16, "CHUNK": CHUNK}
    of_forward = {"LOW_RANK": False, "KEEP": True, "rank": 1, "R": 1}
    for kernel, more in ((forward, of_forward), (backward, {"channels": 1})):
        more = more | {name: 1 for name in ones if name in kernel.arg_names}
        assert registers_and_stack(kernel, "fp16", constants | more, num_warps=warps)
