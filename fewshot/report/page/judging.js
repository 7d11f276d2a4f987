// Calibration and coverage of all estimators of the selected cell, against the diagonal.
const lookOf = (cell, name) => estimatorsOf(cell).findIndex((one) => one.name === name);

// lines: [{name, look, points: [[x, y, words]]}]
function diagonalChart(lines, { label, x, y, domain }, width, tell) {
  const chart = frame({
    width,
    height: Math.round(0.9 * width),
    x: { domain, title: x },
    y: { domain, title: y },
    label,
  });
  const { svg, X, Y } = chart;
  svg.append(
    shape("path", {
      class: "diagonal",
      d: `M${X(domain[0])},${Y(domain[0])}L${X(domain[1])},${Y(domain[1])}`,
    }),
  );
  const marks = [];
  for (const { look, points } of lines) {
    const at = points.map(([px, py]) => [X(px), Y(py)]);
    if (at.length > 1)
      svg.append(shape("path", { class: `line s${colorOf(look)}`, d: pathThrough(at) }));
    at.forEach(([px, py], i) => {
      svg.append(marker(look, px, py, 4));
      marks.push({ x: px, y: py, words: points[i][2] });
    });
  }
  readable(svg, marks, (mark) => tell(mark && mark.words), label);
  return svg;
}

function calibrationLines(cell) {
  const lines = estimatorsOf(cell).map((one, look) => ({
    name: shownName(one),
    look,
    points: (one.bins ?? [])
      .filter(([p, a]) => known(p) && known(a))
      .map(([p, a, n]) => [
        p,
        a,
        `${one.name}: ${percent(p)} % predicted, ${percent(a)} % measured, mean of ${plural(n, "episode")}`,
      ]),
  }));
  return lines.filter((line) => line.points.length);
}

function coverageLines(cell) {
  const lines = estimatorsOf(cell).map((one, look) => ({
    name: shownName(one),
    look,
    points: (one.coverage_curve ?? [])
      .filter(([n, c]) => known(n) && known(c))
      .map(([n, c]) => [n, c, `${one.name}: ${percent(n, 0)} % promised, ${percent(c)} % held`]),
  }));
  return lines.filter((line) => line.points.length);
}

function judgingFigure({ title, x, y, caption }, lines, domain, width, cell) {
  const hint = "Point at a marker, or use the arrow keys, to read it.";
  const words = readout(hint);
  const svg = diagonalChart(
    lines,
    { x, y, domain, label: `${title}, ${place(cell)}.` },
    width,
    (text) => (words.textContent = text || hint),
  );
  return make(
    "figure",
    null,
    make("h3", null, title),
    make("div", { class: "plot" }, svg, saveButton(svg, `${title}, ${fullPlace(cell)}`)),
    words,
    make("figcaption", { class: "caption" }, caption),
  );
}

function drawJudging(body) {
  const cell = selectedCell();
  const [bins, cover] = [calibrationLines(cell), coverageLines(cell)];
  const both = bins.length && cover.length && body.clientWidth > 720;
  const width = roomFor(body, both ? 2 : 1, 560);
  const legend = estimatorsOf(cell)
    .map((one, look) => [one, look])
    .filter(([one]) => [...bins, ...cover].some((line) => line.name === shownName(one)));
  const domain = squareDomain(bins.flatMap((line) => line.points.flatMap(([p, a]) => [p, a])));
  replace(
    body,
    make(
      "ul",
      { class: "legend" },
      legend.map(([one, look]) => {
        const title = groupTitle(cell, legend.map(([each]) => each.name), one.name);
        return [
          title && make("li", { class: "tab-group" }, title),
          make("li", { class: "entry" }, sample(look), named(shownName(one))),
        ];
      }),
    ),
    make(
      "div",
      { class: "pair even" },
      bins.length
        ? judgingFigure(payload.charts.calibration, bins, domain, width, cell)
        : null,
      cover.length
        ? judgingFigure(payload.charts.coverage, cover, [0, 1], width, cell)
        : null,
    ),
  );
}

section("judging", "Calibration and coverage", {
  when: ["filter", "cell"],
  needed: () =>
    Boolean(selectedCell()) &&
    calibrationLines(selectedCell()).length + coverageLines(selectedCell()).length > 0,
  draw: drawJudging,
  about: () => fullPlace(selectedCell()),
});
