"""A made-up `/proc` and `/sys`, in a folder."""

from pathlib import Path


def write_system(folder: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return folder
