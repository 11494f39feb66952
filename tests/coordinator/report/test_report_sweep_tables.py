"""Tables of a sweep as CSV and LaTeX."""

import csv
import io
from pathlib import Path

from sweep_sample import sample_sweep, usual_series, usual_sweep

from coordinator.report.html_table import Column, Table, words
from coordinator.report.sweep.reading import read_sweep
from coordinator.report.sweep.runs_table import runs_table
from coordinator.report.sweep.table_files import csv_text, latex_escaped, latex_text
from coordinator.report.sweep.tables import cases_table, conditions_table, regret_page_table
from coordinator.report.sweep.write import write_tables


def rows_of(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_text(table))))


def test_cases_and_runs_are_all_there_in_full_precision() -> None:
    _, runs = usual_sweep()
    series = usual_series()
    cases = rows_of(cases_table(series))
    assert [row["case"] for row in cases] == [point.case_key for one in series.settings for point in one.points]
    first = series.settings[0].points[0]
    assert first.latency is not None
    assert float(cases[0]["latency (ms)"]) == first.latency.value * 1e3
    attempts = rows_of(runs_table(series))
    assert len(attempts) == len(runs)
    assert {row["state"] for row in attempts} == {"done", "invalid", "failed"}
    assert all(row["reason"] for row in attempts if row["state"] != "done")


def test_equal_sweeps_give_equal_bytes(tmp_path: Path) -> None:
    written = []
    for folder in ("a", "b"):
        sweep, runs = sample_sweep(models=["resnet18"], n_samples=5)
        order = runs if folder == "a" else tuple(reversed(runs))
        written.append(
            {path.name: path.read_bytes() for path in write_tables(read_sweep(sweep, order), tmp_path / folder)}
        )
    assert written[0] == written[1]
    assert set(written[0]) == {
        *("cases.csv", "runs.csv", "conditions.csv", "conditions.tex"),
        *(f"regret_{name}.{kind}" for name in ("latency", "throughput") for kind in ("csv", "tex")),
    }


def test_latex_is_escaped_and_uses_booktabs() -> None:
    setting = usual_series().settings[0]
    text = latex_text(conditions_table(setting), "mobilenet_v2-conditions")
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
    assert r"\label{tab:mobilenet-v2-conditions}" in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
    assert len(body) == len(setting.conditions)
    assert {line.count(" & ") for line in body} == {5}
    for found in setting.regrets:
        assert r" \% & " in latex_text(regret_page_table(found), "x")


def test_names_are_no_commands() -> None:
    hostile = r"\input{/etc/passwd} & 50% $x_1^2$ #{~} <a|b>"
    escaped = latex_escaped(hostile)
    assert escaped == (
        r"\textbackslash{}input\{/etc/passwd\} \& 50\% \$x\_1\textasciicircum{}2\$ \#\{\textasciitilde{}\} "
        r"\textless{}a\textbar{}b\textgreater{}"
    )
    table = Table(caption=hostile, columns=(Column(head=hostile),), rows=((words(hostile),),))
    assert r"\input{" not in latex_text(table, hostile)


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    table = Table(caption="", columns=(Column(head="a"),), rows=((words("=1+1"),), (words("-3.5e-2"),)))
    assert csv_text(table) == "a\n'=1+1\n-3.5e-2\n"
