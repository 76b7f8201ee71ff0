"""The device that models run on, seen where PyTorch is."""

from deploy.doctor.context import Context
from deploy.doctor.result import CheckResult, failure, ok, skipped, warning

LEAST_FREE_SHARE = 0.1
NOT_HERE = skipped("PyTorch is not in this image; run `cinemo doctor` in a worker, too")
DRIVER = "install NVIDIA's driver on the host and let the container have the GPU: docs/compose.md#on-a-gpu"


def has_torch() -> bool:
    """Whether this is a worker's image; one whose PyTorch is broken raises what is wrong."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return False
    return True


def device(context: Context) -> CheckResult:
    """Whether what CINEMO_DEVICE asks for is there."""
    if not has_torch():
        return NOT_HERE
    import torch

    wanted = context.settings.device
    built = f"PyTorch {torch.__version__}, " + (f"CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not torch.version.cuda):
        return ok(f"CPU only; {built}, {torch.get_num_threads()} threads")
    if not count:
        message = f"CPU only, as no CUDA device is visible; {built}"
        return warning(message, f"{DRIVER}; or set CINEMO_DEVICE=cpu") if wanted == "auto" else failure(message, DRIVER)
    number = int(wanted.partition(":")[2] or 0)
    if number >= count:
        return failure(f"CINEMO_DEVICE is {wanted}, and there are {count} devices", "name one of them; they begin at 0")
    names = ", ".join(torch.cuda.get_device_name(each) for each in range(count))
    return ok(f"{built}; {names}")


def computing(context: Context) -> CheckResult:
    """Whether the device computes in the model's number type, which a driver that is too old does not."""
    if not has_torch():
        return NOT_HERE
    import torch

    from cinemo_core.devices import device_of, dtype_of

    place = device_of(context.settings.device)
    dtype = dtype_of(context.settings.torch_dtype, place)
    try:
        ones = torch.ones(64, 64, device=place, dtype=dtype)
        total = float((ones @ ones).float().sum())
    except (RuntimeError, AssertionError) as error:
        return failure(f"{place} does not compute: {error}", "let driver and PyTorch fit each other")
    if total != 64**3:
        return failure(f"{place} computes {total:g} where it is {64**3}", "replace the device")
    if place == "cpu" and dtype == torch.float16:
        return warning("float16 is slow on a CPU", "set CINEMO_TORCH_DTYPE=float32")
    return ok(f"{place} computes in {str(dtype).removeprefix('torch.')}")


def memory(context: Context) -> CheckResult:
    """What is free of the device's memory; a worker that runs there holds some of it."""
    if not has_torch():
        return NOT_HERE
    import torch

    from cinemo_core.devices import device_of

    place = device_of(context.settings.device)
    if place == "cpu":
        return ok("a CPU has the machine's memory")
    free, total = torch.cuda.mem_get_info(place)
    message = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB are free"
    if free < LEAST_FREE_SHARE * total:
        return warning(message, "see by `nvidia-smi` who else uses it, if that is not the worker")
    return ok(message)
