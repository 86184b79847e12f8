"""What to say where the memory did not suffice after all."""


def why_no_memory(error: BaseException) -> str | None:
    """What to say of an error that is a lack of memory, of the machine or of a device.

    Returns:
      The text; None where it is another error.
    """
    text = str(error).partition("\n")[0]
    lacks = isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text
    if not lacks and "out of memory" not in text.lower():
        return None
    said = f" ({text})" if text else ""
    return (
        f"the memory does not suffice{said}: lower data.batch_size, the sizes in [model] or the "
        "number of runs; jaxopt-lab train CONFIG --dry-run shows what takes how much"
    )
