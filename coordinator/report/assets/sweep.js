// The figures of the chosen setting. Each is drawn when it comes into view, so that the page opens at once.
(() => {
  const choice = document.getElementById("setting");
  const slider = document.getElementById("condition");
  const told = slider.parentElement.querySelector("output");
  const places = [...document.querySelectorAll("[data-figure]")];
  const read = new Map();
  const drawn = new Set();
  const visible = new Set();
  let setting = null;

  function draw(place, isDark = splitfront.isDark(), width = undefined) {
    const figure = setting.figures[place.dataset.figure];
    if (!figure) return;
    drawn.add(place);
    const done = splitfront.plot(place, figure, isDark, width);
    if (place.dataset.listens) return;
    place.dataset.listens = "yes";
    done.then(() => place.on("plotly_click", (event) => {
      const key = event.points[0].customdata;
      if (key) splitfront.samples.show(key);
    }));
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) visible.delete(entry.target);
      else {
        visible.add(entry.target);
        if (!drawn.has(entry.target)) draw(entry.target);
      }
    }
  }, { rootMargin: "300px" });

  function slide() {
    const number = Number(slider.value);
    const condition = setting.conditions[number];
    const words = condition.network ? `${condition.name} (${condition.network})` : condition.name;
    told.textContent = words;
    slider.setAttribute("aria-valuetext", words);
    const overlay = setting.figures.overlay;
    for (const trace of overlay.data) {
      trace.visible = "own" in trace.meta ? trace.meta.own === number : trace.meta.others !== number;
    }
    const place = places.find((one) => one.dataset.figure === "overlay");
    if (drawn.has(place)) draw(place);
  }

  function show(number) {
    if (!read.has(number)) read.set(number, splitfront.read(`setting-${number}`));
    setting = read.get(number);
    for (const block of document.querySelectorAll("[data-setting]")) block.hidden = block.dataset.setting !== number;
    drawn.clear();
    for (const place of places) {
      const figure = setting.figures[place.dataset.figure];
      place.closest("figure").hidden = !figure;
      if (figure) {
        place.style.height = `${figure.layout.height}px`;
        place.closest("figure").querySelector("figcaption").textContent = figure.caption;
      }
    }
    for (const section of document.querySelectorAll("main > section")) {
      const own = [...section.querySelectorAll("[data-figure]")];
      if (own.length) section.hidden = own.every((place) => !setting.figures[place.dataset.figure]);
    }
    slider.max = setting.conditions.length - 1;
    slider.value = Math.min(slider.value, slider.max);
    slide();
    for (const place of visible) draw(place);
  }

  choice.addEventListener("change", () => show(choice.value));
  slider.addEventListener("input", slide);
  for (const place of places) watcher.observe(place);
  splitfront.redrawWith((isDark, width) => {
    const wanted = width ? places : drawn;
    for (const place of wanted) draw(place, isDark, width);
  });
  choice.closest("label").hidden = choice.options.length < 2;
  show("0");
})();
