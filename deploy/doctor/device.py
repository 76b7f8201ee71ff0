"""Checks of the device that models run on, in images with PyTorch."""

from deploy.doctor.context import Context
from deploy.doctor.result import CheckResult, failure, ok, skipped, warning

MIN_FREE_SHARE = 0.1
NO_TORCH = skipped("PyTorch is not in this image; run `cinemo doctor` in a worker, too")
DRIVER = "install NVIDIA's driver on the host and let the container have the GPU: docs/compose.md#on-a-gpu"


def has_torch() -> bool:
    """Whether PyTorch is installed, as in a worker's image; raises if it is broken."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return False
    return True


def device(context: Context) -> CheckResult:
    """Whether the device in CINEMO_DEVICE exists."""
    if not has_torch():
        return NO_TORCH
    import torch

    name = context.settings.device
    build = f"PyTorch {torch.__version__}, " + (f"CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not torch.version.cuda):
        return ok(f"CPU only; {build}, {torch.get_num_threads()} threads")
    if not count:
        message = f"CPU only, because no CUDA device is visible; {build}"
        return warning(message, f"{DRIVER}; or set CINEMO_DEVICE=cpu") if name == "auto" else failure(message, DRIVER)
    number = int(name.partition(":")[2] or 0)
    if number >= count:
        return failure(f"CINEMO_DEVICE is {name}, but there are {count} devices", "choose one; numbers start at 0")
    names = ", ".join(torch.cuda.get_device_name(each) for each in range(count))
    return ok(f"{build}; {names}")


def computation(context: Context) -> CheckResult:
    """Whether the device computes in the model's dtype, which fails if the driver is too old."""
    if not has_torch():
        return NO_TORCH
    import torch

    from cinemo_core.devices import device_of, dtype_of

    device_name = device_of(context.settings.device)
    dtype = dtype_of(context.settings.torch_dtype, device_name)
    try:
        ones = torch.ones(64, 64, device=device_name, dtype=dtype)
        total = float((ones @ ones).float().sum())
    except (RuntimeError, AssertionError) as error:
        return failure(f"{device_name} does not compute: {error}", "install a driver that supports this PyTorch")
    if total != 64**3:
        return failure(f"{device_name} computed {total:g} instead of {64**3}", "replace the device")
    if device_name == "cpu" and dtype == torch.float16:
        return warning("float16 is slow on a CPU", "set CINEMO_TORCH_DTYPE=float32")
    return ok(f"{device_name} computes in {str(dtype).removeprefix('torch.')}")


def memory(context: Context) -> CheckResult:
    """How much of the device's memory is free; a running worker uses some of it."""
    if not has_torch():
        return NO_TORCH
    import torch

    from cinemo_core.devices import device_of

    device_name = device_of(context.settings.device)
    if device_name == "cpu":
        return ok("the CPU uses the machine's memory")
    free, total = torch.cuda.mem_get_info(device_name)
    message = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB are free"
    if free < MIN_FREE_SHARE * total:
        return warning(message, "if it isn't the worker, find out with `nvidia-smi` what uses it")
    return ok(message)
