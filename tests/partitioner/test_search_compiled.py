import subprocess
import sys

from partitioner.search.compiled import compiled


def test_code_that_no_folder_can_keep_is_compiled_all_the_same():
    scope = {}
    exec("def increased(number):\n    return number + 1\n", scope)  # it has no file, so that numba finds no place
    assert compiled(scope["increased"])(41) == 42


def test_numba_and_scipy_are_loaded_only_by_engines_that_run():
    script = "import sys, partitioner.search; print('numba' in sys.modules, 'scipy' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "False"]
