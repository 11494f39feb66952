"use strict";
// What the scripts of all pages share.
const splitfront = (() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const templates = read("templates-data");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  // A finger scrolls the page; it must not zoom a picture instead.
  const isSmall = window.matchMedia("(pointer: coarse), (max-width: 44rem)").matches;

  const paperWidth = 690; // pixels between the margins of A4 and Letter

  function plot(place, figure, isDark = dark.matches, width = undefined) {
    const layout = { ...figure.layout, template: templates[isDark ? "dark" : "light"] };
    if (isSmall) layout.dragmode = false;
    if (width) layout.width = width;
    return Plotly.react(place, figure.data, layout, {
      responsive: true,
      displaylogo: false,
      displayModeBar: isSmall ? false : "hover",
      showSendToCloud: false,
      plotlyServerURL: "",
      modeBarButtonsToRemove: ["sendChartToCloud", "select2d", "lasso2d", "autoScale2d"],
      toImageButtonOptions: { format: "svg", filename: `splitfront-${place.dataset.figure}` },
    });
  }

  // Calls `draw(isDark, width)` whenever the theme changes, and before and after the page is printed.
  function redrawWith(draw) {
    dark.addEventListener("change", () => draw(dark.matches));
    window.addEventListener("beforeprint", () => draw(false, paperWidth));
    window.addEventListener("afterprint", () => draw(dark.matches));
  }

  async function copy(button) {
    const field = button.closest("figure").querySelector("textarea.copied");
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      // Pages opened as files may have no clipboard: the selection is copied, or left for the reader to copy.
      field.hidden = false;
      field.select();
      if (!document.execCommand("copy")) {
        button.textContent = "press Ctrl+C";
        return;
      }
      field.hidden = true;
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  }

  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", () => copy(button));
  }
  return { read, plot, redrawWith, isDark: () => dark.matches };
})();
