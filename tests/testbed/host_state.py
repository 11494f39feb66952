"""All that can be seen of a host: what an uninstall has to leave as it was."""

import difflib

_OTHERS = r"\( -path ./proc -o -path ./sys -o -path ./dev \) -prune"


# Tools that change users keep the text before their last change in files like passwd-: those are not compared.
LISTING = rf"""
cd /
echo "== files"
find . /dev/shm -xdev {_OTHERS} -o -type f ! -path './etc/*-' -exec sha256sum {{}} + | sort -k2
echo "== owners, modes and links"
find . /dev/shm -xdev {_OTHERS} -o -printf '%M %u:%g %p %l\n' | sort -k3
echo "== processes"
session=$(cut -d' ' -f6 /proc/$$/stat)
for process in /proc/[0-9]*; do
  words=$(tr '\0' ' ' <"$process/cmdline" | sed 's/ *$//')
  state=$(sed 's/.*) //' "$process/stat") || continue
  set -- $state
  [ "$4" = "$session" ] && continue
  case "$1 $words" in
    "Z "*) echo "zombie $(sed -n 's/^Name://p' "$process/status")" ;;
    ?" " | " " | *"sshd: root"*) ;;  # threads of the kernel, what has just ended, our login
    *) echo "$words" ;;
  esac
done 2>/dev/null | sort
echo "== network"
tc qdisc show | sed 's/ refcnt.*//'
ip -o address show | sed 's/valid_lft.*//'
ip route show
echo "== mounts"
cat /proc/mounts
"""


def unlike(before: dict[str, str], after: dict[str, str]) -> str:
    """What differs, host by host."""
    pairs = ((before[name].splitlines(), after[name].splitlines(), name) for name in before)
    return "\n".join(
        line for old, new, name in pairs for line in difflib.unified_diff(old, new, name, n=0, lineterm="")
    )
