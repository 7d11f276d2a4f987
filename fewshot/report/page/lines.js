// Charts of lines in panels that came worked out, as they are on paper: of the data set and backbone
// of the selected cell.
const linesOf = (cell) =>
  cell
    ? (payload.lines ?? []).filter((one) =>
        ["task", "dataset", "backbone", "feature"].every((name) => one[name] === cell[name]),
      )
    : [];

function linesPanel(chart, panel, width, tell) {
  const { words, x, y } = chart;
  const texts = new Map(x.ticks ?? []);
  const label = `${words.y} against ${words.x}, ${panel.title}`;
  const { svg, X, Y } = frame({
    width,
    height: Math.round(Math.min(340, 0.75 * width)),
    x: { domain: x.limits, ticks: [...texts.keys()], text: (at) => texts.get(at), title: words.x },
    y: { domain: y.limits, text: (at) => String(Number(at.toPrecision(6))), title: words.y },
    label,
  });
  svg.append(
    shape("text", { class: "name", x: width - 14, y: 13, "text-anchor": "end" }, panel.title),
  );
  const points = [];
  for (const { name, look, x: places, y: heights, whiskers } of panel.traces) {
    const at = places.map((place, i) => [X(place), Y(heights[i])]);
    svg.append(shape("path", { class: `line s${colorOf(look.color)}`, d: pathThrough(at) }));
    for (const [place, low, high] of whiskers)
      svg.append(
        shape("path", {
          class: `whisker s${colorOf(look.color)}`,
          d: `M${X(place).toFixed(1)},${Y(low).toFixed(1)}V${Y(high).toFixed(1)}`,
        }),
      );
    at.forEach(([px, py], i) => {
      svg.append(marker(look.color, px, py));
      points.push({ x: px, y: py, name, at: texts.get(Math.round(places[i])), value: heights[i] });
    });
  }
  const say = (one) =>
    one && `${panel.title} · ${one.name}, ${one.at} ${words.x}: ${words.y} ${decimal(one.value, 1)}`;
  readable(svg, points, (one) => tell(say(one)), `${label}.`);
  return svg;
}

function linesFigure(body, { chart }) {
  const hint = "Point at a marker, or use the arrow keys, to read it.";
  const words = readout(hint);
  const tell = (text) => (words.textContent = text || hint);
  const width = roomFor(body, chart.panels.length > 1 && body.clientWidth > 720 ? 2 : 1);
  return make(
    "figure",
    null,
    make(
      "ul",
      { class: "legend" },
      chart.legend.map(([name, look]) =>
        make("li", { class: "entry" }, sample(look.color), named(name)),
      ),
    ),
    make(
      "div",
      { class: chart.panels.length > 1 ? "panels" : "wide" },
      chart.panels.map((panel) => {
        const svg = linesPanel(chart, panel, width, tell);
        return make("div", { class: "plot" }, svg, saveButton(svg, panel.title));
      }),
    ),
    words,
    make("figcaption", { class: "caption" }, chart.words.caption),
  );
}

section("lines", () => linesOf(selectedCell())[0]?.chart.words.title ?? "", {
  when: ["filter", "cell"],
  needed: () => linesOf(selectedCell()).length > 0,
  draw: (body) => replace(body, linesOf(selectedCell()).map((one) => linesFigure(body, one))),
  about: () => `${selectedCell().dataset} · ${selectedCell().backbone}`,
});
