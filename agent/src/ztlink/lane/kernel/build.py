"""Compiles the kernels to an image: `python -m ztlink.lane.kernel.build FILE`.

Runs in a process of its own: it takes seconds of CPU and much memory, none of which a node has to
spare. The image is for a baseline of the processor's kind, so that it may be kept beside a home
that moves, or be made where a container's image is built.
"""

import platform
import re
import sys
from pathlib import Path
from typing import Any, Final

from llvmlite import binding
from numba.core import config

config.OPT = config._OptLevel(0)  # noqa: SLF001 - all kernels are optimised here, as a whole

from ztlink.lane.kernel import inward, outward  # noqa: E402
from ztlink.lane.kernel.flatten import flatten  # noqa: E402
from ztlink.lane.kernel.memory import INT  # noqa: E402
from ztlink.lane.native import ENTRIES, KernelError, pack  # noqa: E402

BASELINES: Final = {"x86_64": "x86-64-v3"}
KERNELS: Final = {
    "outbound": outward.outbound,
    "gather": inward.gather,
    "open_all": inward.open_all,
    "run_length": inward.run_length,
    "coalesce": inward.coalesce,
}
_WRAPPER: Final = """
declare i32 @"{inner}"(ptr, ptr{types})
define i64 @"{name}"({parameters}) {{
  %result = alloca i64
  %error = alloca ptr
  %status = call i32 @"{inner}"(ptr %result, ptr %error{arguments})
  %value = load i64, ptr %result
  ret i64 %value
}}
"""
"""What gives a kernel the ABI of C; the status is always good, as kernels raise nothing."""
_DEFINITION: Final = re.compile(r"^(define .*?) \{$", re.MULTILINE)


def compile_kernels() -> bytes:
    """Return the image."""
    baseline = BASELINES.get(platform.machine())
    if baseline is None:
        raise KernelError(f"there are no kernels for {platform.machine()}")
    whole = binding.parse_assembly("")
    for name, arguments in ENTRIES.items():
        _add(whole, name, KERNELS[name], arguments)
    # Nothing may be made a call of libc's memmove, which the image would have to find.
    whole = binding.parse_assembly(_DEFINITION.sub(r'\1 "no-builtins" {', str(whole)))
    return pack(*flatten(_emit(whole, baseline), ENTRIES))


def _add(whole: Any, name: str, kernel: Any, count: int) -> None:  # noqa: ANN401
    """Compile a kernel, and put it beside the others."""
    signature = (INT,) * count
    kernel.compile(signature)
    whole.link_in(binding.parse_assembly(kernel.inspect_llvm(signature)))
    numbers = range(count)
    text = _WRAPPER.format(
        inner=kernel.overloads[signature].fndesc.llvm_func_name,
        name=name,
        types=", i64" * count,
        parameters=", ".join(f"i64 %a{number}" for number in numbers),
        arguments="".join(f", i64 %a{number}" for number in numbers),
    )
    whole.link_in(binding.parse_assembly(text))


def _emit(whole: Any, baseline: str) -> bytes:  # noqa: ANN401
    """Optimise all kernels as a whole, and return the object."""
    for one in (*whole.functions, *whole.global_variables):
        if not one.is_declaration and one.name not in ENTRIES:
            one.linkage = "internal"
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple()
    machine = target.create_target_machine(cpu=baseline, opt=3, reloc="pic", codemodel="small")
    whole.data_layout = str(machine.target_data)
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(whole, passes)
    return bytes(machine.emit_object(whole))


def main() -> None:
    """Write the image, or nothing at all."""
    path = Path(sys.argv[1])
    part = path.with_name(path.name + ".part")
    part.write_bytes(compile_kernels())
    part.chmod(0o644)  # nobody else may write what is run
    part.replace(path)


if __name__ == "__main__":
    main()
