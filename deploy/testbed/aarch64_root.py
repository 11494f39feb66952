"""A Debian for aarch64 as one archive, made once: what a host needs to boot, and what an install looks for there."""

import hashlib
import os
import subprocess
from pathlib import Path

from deploy.errors import NoTestbedError

SUITE = "bookworm"
_PACKAGES = (
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "findutils", "grep", "libc-bin", "login", "mawk"),
    *("passwd", "procps", "sed", "util-linux"),
    *("iproute2", "libstdc++6", "openssh-server", "openssl", "python3"),
)
_MAKE_SECONDS = 600

# Packages are unpacked, not configured, so that nothing of them has to run here; this is what their scripts would do.
_FINISH = r"""
set -e
cd "$1"
cp usr/share/base-passwd/passwd.master etc/passwd
cp usr/share/base-passwd/group.master etc/group
echo 'sshd:*:105:65534::/run/sshd:/usr/sbin/nologin' >>etc/passwd
sed 's/:.*/:*:19000:0:99999:7:::/' etc/passwd >etc/shadow
sed 's/:.*/:*::/' etc/group >etc/gshadow
chmod 0640 etc/shadow etc/gshadow
for kind in auth account password session; do
  echo "$kind required pam_permit.so" >"etc/pam.d/common-$kind"
done
cp etc/pam.d/common-session etc/pam.d/common-session-noninteractive
[ -e usr/bin/awk ] || ln -s mawk usr/bin/awk
[ -e bin/sh ] || ln -s dash bin/sh
echo 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' >etc/environment
mkdir -p etc/ssh root opt srv
rm -rf usr/share/doc usr/share/man usr/share/locale usr/share/perl var/cache/* var/lib/apt
"""


def root_archive(cache: Path) -> Path:
    """The archive, made by mmdebstrap where it is not yet in the folder `cache`.

    Raises:
        NoTestbedError: It cannot be made.
    """
    recipe = hashlib.sha256("\n".join((SUITE, *_PACKAGES, _FINISH)).encode()).hexdigest()[:10]
    archive = cache / f"aarch64-{SUITE}-{recipe}.tar"
    if archive.exists():
        return archive
    cache.mkdir(parents=True, exist_ok=True)
    partial = archive.with_suffix(f".{os.getpid()}")
    words = [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=extract",
        "--architectures=arm64",
        "--format=tar",
        "--skip=output/dev",
    ]
    words += [f"--include={','.join(_PACKAGES)}", f"--extract-hook={_FINISH}", SUITE, str(partial)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_MAKE_SECONDS)  # noqa: S603 - ours
        if done.returncode != 0:
            raise NoTestbedError(f"mmdebstrap cannot make a Debian for aarch64: {_reason(done.stderr)}")
        partial.replace(archive)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NoTestbedError(f"mmdebstrap cannot make a Debian for aarch64: {exc}.") from exc
    finally:
        partial.unlink(missing_ok=True)
    return archive


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "Err:"))]
    return (errors or lines or ["it said nothing"])[0]
