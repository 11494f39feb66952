// The raw samples of one case, drawn when somebody asks for them: `#case-KEY` in the address opens them.
splitfront.samples = (() => {
  const dialog = document.getElementById("samples");
  const place = dialog.querySelector(".plot");
  const colours = ["#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377"];
  const grey = "#9A9A9A";
  let shown = null;

  const seconds = (value) => value == null ? "–" : value < 0.9995 ? `${(value * 1e3).toPrecision(3)} ms` : `${value.toPrecision(3)} s`;
  const rate = (value) => value == null ? "–" : `${Number((value * 8 / 1e6).toPrecision(3))} Mbit/s`;
  const both = (pair, show) => pair[1] == null ? show(pair[0]) : `${show(pair[0])} (asked ${show(pair[1])})`;

  function figure(found) {
    const data = [];
    for (const run of found.runs) {
      const counts = run.state === "done";
      const name = `repeat ${run.repeat}` + (run.attempt > 1 ? `, attempt ${run.attempt}` : "") + (counts ? "" : `, ${run.state}`);
      const colour = counts ? colours[(run.repeat - 1) % colours.length] : grey;
      for (const [kind, symbol, size] of [["lone", "circle-open", 7], ["loaded", "circle", 4]]) {
        const times = run[kind];
        if (!times.at.length) continue;
        data.push({
          type: "scatter", mode: "markers", name, legendgroup: name, showlegend: kind === "lone" || !run.lone.at.length,
          x: times.at.map((at) => at / 1e6), y: times.took.map((took) => took / 1e3),
          marker: { symbol, size, color: colour, line: { width: 1.2, color: colour } },
          hovertemplate: `${name}, ${kind === "lone" ? "one in flight" : "window full"}<br>%{y:.4~g} ms, received at %{x:.4~g} s<extra></extra>`,
        });
      }
    }
    return {
      data,
      layout: {
        height: 360, margin: { l: 60, r: 12, t: 30, b: 46 }, hovermode: "closest",
        legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, showlegend: true,
        xaxis: { title: { text: "since the run began (s)" }, automargin: true, zeroline: false },
        yaxis: { title: { text: "round trip (ms)" }, automargin: true, rangemode: "tozero" },
      },
    };
  }

  function table(found) {
    const heads = ["repeat", "attempt", "state", "why", "began", "place", "latency", "throughput", "links as found", "machine"];
    const body = document.getElementById("samples-runs");
    const row = (tag, texts) => {
      const line = document.createElement("tr");
      for (const text of texts) {
        const cell = document.createElement(tag);
        cell.textContent = text;
        line.append(cell);
      }
      return line;
    };
    const head = document.createElement("thead");
    head.append(row("th", heads));
    const lines = document.createElement("tbody");
    for (const run of found.runs) {
      lines.append(row("td", [
        run.repeat, run.attempt, run.state, run.reason, run.began.replace("T", " "), run.place,
        seconds(run.figures.latency_seconds),
        run.figures.throughput_per_second == null ? "–" : `${run.figures.throughput_per_second.toPrecision(3)} /s`,
        run.links.map((link) => `${link.way}: ${both(link.time, seconds)}, ${both(link.rate, rate)}`).join("\n"),
        Object.entries(run.environment).map(([name, value]) => `${name} ${value}`).join(", "),
      ]));
    }
    body.replaceChildren(head, lines);
  }

  function draw(isDark = splitfront.isDark(), width = undefined) {
    if (!shown || !dialog.open) return;
    splitfront.plot(place, figure(shown), isDark, width);
  }

  function open() {
    const name = decodeURIComponent(location.hash.slice(1));
    const script = name.startsWith("case-") ? document.getElementById(name) : null;
    if (!script) {
      if (dialog.open) dialog.close();
      return;
    }
    shown = JSON.parse(script.textContent);
    document.getElementById("samples-title").textContent = shown.title;
    document.getElementById("samples-note").textContent = `${shown.setting}: ${shown.stages}. ${shown.summary}.`
      + (shown.stride > 1 ? ` Every ${shown.stride}th sample is here, and the extremes; the store has all.` : "");
    table(shown);
    if (!dialog.open) dialog.showModal();
    draw();
  }

  dialog.addEventListener("close", () => {
    if (location.hash.startsWith("#case-")) history.replaceState(null, "", location.pathname + location.search);
    Plotly.purge(place);
    shown = null;
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  window.addEventListener("hashchange", open);
  splitfront.redrawWith(draw);
  open();
  return { show: (key) => { location.hash = `case-${key}`; } };
})();
