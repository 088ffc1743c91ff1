def is_progress_bar_enabled() -> bool:
    return False


def disable_progress_bar() -> None:
    pass
