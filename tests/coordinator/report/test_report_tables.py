import io
from dataclasses import replace

import pytest
from report_sample import N_UNITS, predicted_run, sample_run
from rich.console import Console
from rich.table import Table as TerminalTable

from coordinator.measurement import Estimate
from coordinator.report import html_table, inspection, page_tables, tables
from coordinator.report.html_table import Cell, Column, Table
from coordinator.report.run import Run
from coordinator.report.text import correctness_sentence


def shown(table: TerminalTable, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(table)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


@pytest.fixture(scope="module")
def run() -> Run:
    return sample_run()


def test_front_table_has_every_plan_and_marks_two(run: Run) -> None:
    text = shown(tables.front_table(run.search, run.graph, run.chosen, run.knee))
    for number, candidate in enumerate(run.search.front):
        line = next(line for line in text.splitlines() if f" {number} " in line[:8])
        assert f"{candidate.cost.latency_seconds * 1e3:.1f} ms" in line
        assert f"{candidate.cost.throughput_per_second:.1f} /s" in line
    assert [line[1] for line in text.splitlines() if "90.1 ms" in line] == ["★"]
    assert [line[1] for line in text.splitlines() if "76.0 ms" in line] == ["◆"]
    assert "not split" in text
    assert "Exact under the cost model" in text


def test_measurement_table_has_every_plan_with_interval_prediction_and_error(run: Run) -> None:
    assert run.measurement is not None
    text = shown(tables.measurement_table(run.measurement))
    for plan in run.measured_plans:
        assert plan.label in text
    for part in ("92.8 ms", "91.4 – 94.1", "90.1 ms −2.9 %", "58.0 /s", "59.8 /s +3.0 %", "121 ms", "1.3e-6"):
        assert part in text
    assert "emulated: pi-1, 1 link" in text
    failed = shown(tables.measurement_table(replace(run.measurement, n_errors=2)))
    assert "2 failed" in failed


def test_inspect_table_has_every_unit_with_what_crosses_behind_it(run: Run) -> None:
    text = shown(inspection.inspect_table(run.graph))
    lines = [line for line in text.splitlines() if "features." in line]
    assert len(lines) == N_UNITS
    assert all(part in lines[0] for part in ("Conv + Clip", "40.1 MFLOP", "500 B", "784 KiB", "1 ●"))
    assert "●" not in lines[1]
    assert lines[-1].rstrip().endswith("1 out")
    assert "39 split points, 19 of them ● crossed by a single tensor" in text


def test_profile_table_has_times_sums_and_gaps(run: Run) -> None:
    assert run.profile is not None
    text = shown(tables.profile_table(run.profile, run.graph))
    assert len([line for line in text.splitlines() if "features." in line]) == N_UNITS
    assert all(part in text for part in ("1.65 ms", "2.20 ms", "825 µs", "whole model in one piece", "52.2 ms"))
    assert "emulated: pi-1, pi-2" in text
    sparse = replace(run.profile, devices=(replace(run.profile.devices[0], segments=()),))
    assert "No unit was measured alone." in shown(tables.profile_table(sparse, run.graph))


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_no_line_is_wider_than_the_terminal(run: Run, width: int) -> None:
    assert run.measurement is not None
    assert run.profile is not None
    for table in (
        tables.front_table(run.search, run.graph, run.chosen),
        tables.measurement_table(run.measurement),
        inspection.inspect_table(run.graph),
        tables.profile_table(run.profile, run.graph),
    ):
        assert max(map(len, shown(table, width).splitlines())) <= width


def test_names_are_neither_markup_nor_terminal_commands() -> None:
    run = sample_run(tuple(f"[bold red]\x1b[31m{i}" for i in range(N_UNITS)))
    text = shown(inspection.inspect_table(run.graph)) + shown(tables.front_table(run.search, run.graph, run.chosen))
    assert "[bold red]�[31m0" in text
    assert "\x1b" not in text


def test_page_table_of_measurements_in_full_precision(run: Run) -> None:
    lines = html_table.to_text(page_tables.measured_table(run)).splitlines()
    heads, first = lines[0].split("\t"), lines[1].split("\t")
    assert len(lines) == 1 + len(run.measured_plans)
    assert len(set(heads)) == len(heads) == len(first)
    row = dict(zip(heads, first, strict=True))
    assert run.measurement is not None
    latency = run.measurement.latency_seconds.p50
    assert row["stages"] == "pi-1[0:9] → pi-2[9:16] → server[16:40]"
    assert float(row["latency p50 (ms)"]) == latency.value * 1e3
    assert float(row["latency p50 (ms) high"]) == latency.high * 1e3
    assert float(row["throughput error"]) == pytest.approx(0.03)
    assert float(row["output error"]) == 1.3e-6


def test_page_table_of_stages_has_measured_columns_only_when_measured(run: Run) -> None:
    measured, predicted = page_tables.stage_table(run), page_tables.stage_table(predicted_run())
    assert len(measured.rows) == len(predicted.rows) == 3
    assert len(measured.columns) == len(predicted.columns) + 8
    row = dict(zip([column.head for column in measured.columns], measured.rows[1], strict=True))
    assert row["units"].text == "9–15"
    assert row["units"].note == "features.9.conv.0 … features.15.conv.0"
    assert row["measured (ms)"].text == "14.0"
    assert row["sent (KiB)"].text == "196"


def test_plans_with_codecs_show_error_and_bytes_beside_what_was_predicted(run: Run) -> None:
    assert run.measurement is not None
    coded_stage = replace(run.chosen.plan.stages[0], codec="int8")
    plan = replace(run.chosen.plan, stages=(coded_stage, *run.chosen.plan.stages[1:]))
    stages = (replace(run.measurement.stages[0], predicted_sent_bytes=100 << 10), *run.measurement.stages[1:])
    predicted = replace(run.measurement.predicted, output_error=0.004)
    measurement = replace(run.measurement, plan=plan, stages=stages, predicted=predicted, output_error=0.005)
    coded = replace(run, chosen=replace(run.chosen, plan=plan), measurement=measurement)
    table = page_tables.measured_table(coded)
    rows = [dict(zip([column.head for column in table.columns], row, strict=True)) for row in table.rows]
    assert [(row["L2 error"].text, row["predicted"].text) for row in rows[:2]] == [("5.0e-3", "4.0e-3"), ("–", "–")]
    heads = html_table.to_text(table).splitlines()[0].split("\t")
    assert len(set(heads)) == len(heads)
    table = page_tables.stage_table(coded)
    row = dict(zip([column.head for column in table.columns], table.rows[0], strict=True))
    assert (row["codec"].text, row["predicted (KiB)"].text) == ("int8", "100")
    assert "L2 5.0e-3" in shown(tables.measurement_table(measurement))
    assert "5.0e-3 in L2 where codecs were predicted to bring 4.0e-3" in correctness_sentence(measurement)


def test_page_tables_of_front_and_links(run: Run) -> None:
    front = page_tables.front_table(run)
    assert front.marked == {7}
    assert [row[1].text for row in front.rows] == ["", "", "", "", "knee", "", "", "chosen"]
    links = page_tables.link_table(run)
    assert len(links.rows) == len(run.cluster.links)


def test_a_copied_name_is_one_field_and_no_formula() -> None:
    table = Table(
        caption="c",
        columns=(Column(head="name"), Column(head="n", is_number=True)),
        rows=((html_table.words("=cmd()\t1"), Cell(text="−1", raw=("-1.5e-06",))),),
    )
    assert html_table.to_text(table) == "name\tn\n'=cmd()�1\t-1.5e-06"


def test_html_of_a_table_is_semantic_and_escaped() -> None:
    table = Table(
        caption="<c>", columns=(Column(head="a&b"),), rows=((html_table.words("<i>"),),), marked=frozenset({0})
    )
    text = html_table.to_html(table)
    assert '<th scope="col">a&amp;b</th>' in text
    assert '<tr class="marked"><th scope="row">&lt;i&gt;</th></tr>' in text
    assert "&lt;c&gt;" in text


@pytest.mark.parametrize("width", [80, 100])
def test_narrow_inspect_table_shortens_names_and_no_number(run: Run, width: int) -> None:
    long = sample_run(tuple(f"encoder.stage.{i}.attention.self.query.projection.{i}" for i in range(N_UNITS)))
    lines = shown(inspection.inspect_table(long.graph), width).splitlines()
    wide = shown(inspection.inspect_table(long.graph), 200).splitlines()
    rows = [(line, whole) for line, whole in zip(lines, wide, strict=False) if "stage." in whole]
    assert len(rows) == N_UNITS
    for line, whole in rows:
        numbers = whole.split("Clip" if "Clip" in whole else "Conv")[-1].split()
        shown_numbers = [part for part in line.split() if set(part) - set("█▉▊▋▌▍▎▏")]
        assert shown_numbers[-len([n for n in numbers if set(n) - set("█▉▊▋▌▍▎▏")]) :] == [
            number for number in numbers if set(number) - set("█▉▊▋▌▍▎▏")
        ]
        assert "…" in line
        assert line.split()[0] == whole.split()[0]
    assert "encoder.stage.3.attention.self.query.projection.3" in "\n".join(wide)


def test_inspect_table_with_layers_names_each(run: Run) -> None:
    text = shown(inspection.inspect_table(run.graph, has_layers=True), 160)
    assert all(f"· {layer.name}" in text for layer in run.graph.layers)


def test_inspection_for_scripts_has_every_split_point(run: Run) -> None:
    found = inspection.inspection(run.graph)
    assert [point.position for point in found.split_points] == list(range(1, N_UNITS))
    assert found.split_points[0].boundary_bytes == run.graph.boundary_bytes(1)
    assert (found.input_bytes, found.output_bytes) == (
        run.graph.boundary_bytes(0),
        run.graph.boundary_bytes(N_UNITS),
    )


def test_a_prediction_shows_no_interval_and_is_copied_with_one() -> None:
    predicted, measured = (html_table.estimate(Estimate(value=0.5, low=low, high=0.5), 1e3) for low in (0.5, 0.4))
    assert (predicted.text, predicted.note, predicted.raw) == ("500", "", ("500.0", "500.0", "500.0"))
    assert measured.note != ""
