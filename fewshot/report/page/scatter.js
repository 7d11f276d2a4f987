// Predicted against actual error: one point per episode of the selected cell.
const BAND_BINS = 16;

// [{episode, index, predicted, actual, lower, upper}] of those that have a prediction.
function episodesOf(points, name) {
  const set = payload.sets[points.set];
  const own = points.estimators.find((one) => one.name === name);
  if (!own) return [];
  const [actual, predicted, lower, upper] = [
    points.actual,
    own.predicted,
    own.lower,
    own.upper,
  ].map(shares);
  return set.episodes
    .map((episode, index) => ({
      episode,
      index,
      predicted: predicted[index],
      actual: actual[index],
      lower: lower?.[index],
      upper: upper?.[index],
    }))
    .filter((one) => known(one.predicted) && known(one.actual));
}

// Mean bounds of the intervals in bins of equally many episodes by predicted error.
function bandOf(episodes) {
  const held = episodes
    .filter((one) => known(one.lower) && known(one.upper))
    .sort((a, b) => a.predicted - b.predicted);
  const bins = Math.min(BAND_BINS, Math.floor(held.length / 5));
  const mean = (own, name) => own.reduce((sum, one) => sum + one[name], 0) / own.length;
  return Array.from({ length: bins }, (_, i) => {
    const own = held.slice(
      Math.floor((i * held.length) / bins),
      Math.floor(((i + 1) * held.length) / bins),
    );
    return [mean(own, "predicted"), mean(own, "lower"), mean(own, "upper")];
  });
}

function squareDomain(values, slack = 0.03) {
  const [low, high] = niceDomain(values, { zero: false, top: 1 });
  const wide = high - low;
  return wide > 0.6 * high ? [0, Math.min(1, high + slack * wide)] : [Math.max(0, low), high];
}

// Cells that differ in the ways alone: harder and easier tasks of the same head and shots.
function cellsOfOtherWays(cell) {
  const same = ["task", "dataset", "backbone", "feature", "head", "shots", "seed", "queries",
                "unlabelled", ...Object.keys(task().keys)];
  return payload.cells
    .filter((one) => one.ways !== cell.ways && known(one.points))
    .filter((one) => same.every((name) => one[name] === cell[name]))
    .sort((a, b) => a.ways - b.ways);
}

// Clouds of other numbers of ways, in colours that go on from that of the cell.
const otherClouds = (cell, name, color) =>
  cellsOfOtherWays(cell)
    .map((one) => ({ ways: one.ways, episodes: episodesOf(payload.points[one.points], name) }))
    .filter((one) => one.episodes.length)
    .map((one, i) => ({ ...one, color: colorOf(color + 1 + i) }));

const circle = (color) =>
  shape(
    "svg",
    { viewBox: "0 0 26 14", "aria-hidden": "true" },
    shape("circle", { class: `f${color}`, cx: 13, cy: 7, r: 4 }),
  );

function waysLegend(cell, color, others) {
  if (!others.length) return null;
  const entries = [{ ways: cell.ways, color, own: true }, ...others];
  return make(
    "ul",
    { class: "legend", "aria-label": "Ways" },
    entries.map(({ ways, color: look, own }) =>
      make(
        "li",
        { class: "entry" },
        circle(look),
        `${ways}-way`,
        own && make("span", { class: "soft" }, "this cell: points can be selected"),
      ),
    ),
  );
}

function scatterChart(episodes, color, width, label, others = []) {
  const shown = [...others.flatMap((one) => one.episodes), ...episodes];
  const domain = squareDomain(shown.flatMap((one) => [one.predicted, one.actual]));
  const chart = frame({
    width,
    height: width,
    x: { domain, title: payload.charts.scatter.x },
    y: { domain, title: payload.charts.scatter.y },
    label,
  });
  const { svg, X, Y } = chart;
  const inside = (value) => Math.min(Math.max(value, domain[0]), domain[1]);
  const band = bandOf(episodes);
  if (band.length > 1) {
    const along = (i, list) => list.map((one) => [X(inside(one[0])), Y(inside(one[i]))]);
    const outline = `${pathThrough(along(1, band))}${pathThrough(along(2, [...band].reverse())).replace("M", "L")}Z`;
    svg.append(shape("path", { class: `band f${color}`, d: outline }));
  }
  svg.append(
    shape("path", {
      class: "diagonal",
      d: `M${X(domain[0])},${Y(domain[0])}L${X(domain[1])},${Y(domain[1])}`,
    }),
  );
  const radius = episodes.length > 600 ? 2 : 3;
  const dot = `a${radius},${radius} 0 1,0 ${2 * radius},0a${radius},${radius} 0 1,0 ${-2 * radius},0`;
  const placed = (list) => list.map((one) => ({ x: X(one.predicted), y: Y(one.actual), one }));
  // All points are one path: thousands of elements would make the page slow.
  const cloud = (list, look) =>
    shape("path", {
      class: `cloud f${look}`,
      d: list.map((p) => `M${(p.x - radius).toFixed(1)},${p.y.toFixed(1)}${dot}`).join(""),
    });
  const points = placed(episodes);
  svg.append(...others.map((one) => cloud(placed(one.episodes), one.color)), cloud(points, color));
  return { svg, points };
}

function drawScatter(body) {
  const cell = selectedCell();
  const points = payload.points[cell.points];
  const set = payload.sets[points.set];
  const names = estimatorsOf(cell)
    .filter((one) => episodesOf(points, one.name).length)
    .map((one) => one.name);
  const current = names.includes(state.estimator) ? state.estimator : names[0];
  const shown = (name) => shownName(estimatorOf(cell, name));
  const show = (name, panel) => {
    if (name !== state.estimator && (state.estimator || name !== names[0]))
      change("tab", { estimator: name });
    scatterPanel(panel, body.clientWidth, cell, points, set, name);
  };
  const group = (name) => groupTitle(cell, names, name);
  const [list, content] = tabs("Estimators", names, current, shown, show, group);
  replace(body, names.length > 1 && list, content);
}

function scatterPanel(content, room, cell, points, set, name) {
  const episodes = episodesOf(points, name);
  const own = estimatorOf(cell, name);
  const panel = episodePanel();
  const label = `Predicted against actual error of ${plural(episodes.length, "episode")}, ${name}, ${place(cell)}.`;
  const width = Math.round(Math.max(260, Math.min(520, room > 830 ? 0.47 * room : room - 24)));
  const color = colorOf(lookOf(cell, name));
  const others = otherClouds(cell, name, color);
  const { svg, points: marks } = scatterChart(episodes, color, width, label, others);
  const reader = readable(
    svg,
    marks,
    (mark) => mark && fillEpisode(panel, mark.one, set, mark.one.index, name),
    label,
  );
  const show = (one) => {
    const mark = marks.find((other) => other.one.episode === one.episode);
    if (mark) reader.go(mark);
    fillEpisode(panel, one, set, mark ? mark.one.index : -1, name);
    panel.scrollIntoView({ block: "nearest" });
  };
  // Something to see from the start: the episode that was missed by most.
  const first = worstOf(cell, own, episodes)
    .map((one) => marks.find((mark) => mark.one.episode === one.episode))
    .find(Boolean);
  if (first) reader.go(first);
  replace(
    content,
    make(
      "div",
      { class: "pair" },
      make(
        "div",
        { class: "plot" },
        waysLegend(cell, color, others),
        svg,
        saveButton(svg, `predicted against actual, ${name}, ${fullPlace(cell)}`),
      ),
      panel,
    ),
    make("p", { class: "caption" }, scatterCaption(own, set, episodes)),
    worstTable(cell, own, episodes, show),
  );
}

function scatterCaption(own, set, episodes) {
  const some =
    set.episodes.length < set.of
      ? ` The points are the first ${whole(set.episodes.length)} of ${whole(set.of)} episodes; all numbers are of all of them.`
      : "";
  const band =
    own.level && episodes.some((one) => known(one.lower))
      ? ` The band is the mean bounds of the ${percent(own.level, 0)} % prediction intervals: as large a share of the points should lie within; it ends where the chart does.`
      : "";
  const seen = own.sees_queries
    ? " † sees the labelled queries: an upper bound, not an estimate."
    : own.sees_unlabelled
      ? " ‡ saw unlabelled images of the episodes as well."
      : "";
  return `${payload.charts.scatter.caption} MAE ${percent(own.mae)} points.${band}${some}${seen}`;
}

section("scatter", payload.charts.scatter.title, {
  when: ["filter", "cell"],
  needed: () =>
    known(selectedCell()?.points) && payload.points[selectedCell().points].estimators.length > 0,
  draw: drawScatter,
  about: () => fullPlace(selectedCell()),
});
