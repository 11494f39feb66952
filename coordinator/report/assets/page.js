(() => {
  const figures = splitfront.read("figures-data");

  function draw(isDark, width) {
    for (const place of document.querySelectorAll("[data-figure]")) {
      splitfront.plot(place, figures[place.dataset.figure], isDark, width);
    }
  }

  draw(splitfront.isDark());
  splitfront.redrawWith(draw);
})();
