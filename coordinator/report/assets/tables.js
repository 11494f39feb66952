// Tables whose rows can be picked and sorted.
splitfront.tables = (() => {
  const all = "all";

  function prepare(figure) {
    const table = figure.querySelector("table");
    const heads = [...table.tHead.rows[0].cells];
    const rows = [...table.tBodies[0].rows];
    const bar = document.createElement("div");
    bar.className = "filters";
    const count = document.createElement("output");
    const choices = new Map();
    heads.forEach((head, place) => {
      if (!("filter" in head.dataset)) return;
      const values = [...new Set(rows.map((row) => row.cells[place].textContent))];
      if (values.length < 2) return;
      const choice = document.createElement("select");
      choice.name = head.textContent;
      choice.append(new Option("all", all), ...values.map((value) => new Option(value, `=${value}`)));
      choice.addEventListener("change", pick);
      const label = document.createElement("label");
      label.append(head.textContent, choice);
      bar.append(label);
      choices.set(place, choice);
    });

    function pick() {
      let shown = 0;
      for (const row of rows) {
        row.hidden = [...choices].some(
          ([place, choice]) => choice.value !== all && choice.value !== `=${row.cells[place].textContent}`);
        if (!row.hidden) shown += 1;
      }
      count.textContent = `${shown} of ${rows.length} rows`;
    }

    function sort(head, place) {
      const isDown = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
      const isNumber = head.classList.contains("number");
      const value = (row) => row.cells[place].dataset.value;
      // Cells without a figure come last, whichever way.
      const compare = (one, other) => {
        if (value(one) === "" || value(other) === "") return (value(one) === "") - (value(other) === "");
        const order = isNumber ? value(one) - value(other)
          : value(one).localeCompare(value(other), undefined, { numeric: true });
        return isDown ? -order : order;
      };
      table.tBodies[0].append(...rows.sort(compare));
    }

    heads.forEach((head, place) => {
      head.querySelector("button.sort")?.addEventListener("click", () => sort(head, place));
    });
    bar.append(count);
    figure.querySelector(".scroll").before(bar);
    pick();
  }

  for (const figure of document.querySelectorAll("[data-table]")) prepare(figure);
  return {};
})();
