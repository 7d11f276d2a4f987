// The section over shots: legend whose entries bring a line to the fore, panels, words.
const BEST = 6;
const FIRST_PANELS = 6;
const fore = new Map();

// Looks by series: the best few and the selected one, and what the reader put in or took out.
function looksOf(ranked) {
  const selected = selectedCell() && seriesKey(selectedCell());
  const first = ranked.slice(0, ranked.length <= BEST + 2 ? BEST + 2 : BEST);
  const added = [...fore].filter(([key, yes]) => yes && ranked.includes(key)).map(([key]) => key);
  const keys = unique([...first, ...(ranked.includes(selected) ? [selected] : []), ...added]);
  const all = new Map(keys.map((key, i) => [key, i]));
  const visible = new Map([...all].filter(([key]) => fore.get(key) !== false));
  return { all, visible };
}

function drawCurves(body) {
  const cells = shownCells();
  const panels = curvesOf(cells);
  const ranked = rankedSeries(panels);
  const names = new Map(cells.map((cell) => [seriesKey(cell), seriesName(cell, taskCells())]));
  const looks = looksOf(ranked);
  const toggle = (key) => {
    fore.set(key, !looks.visible.has(key));
    keepingFocus(body, () => drawCurves(body));
  };
  const hint =
    "Point at a line's marker, or go through the markers with the arrow keys, to read its numbers.";
  const words = readout(hint);
  const tell = (point) => (words.textContent = point ? curveWords(point) : hint);
  const titles = [...panels.keys()].slice(0, drawCurves.all ? Infinity : FIRST_PANELS);
  const width = roomFor(body, titles.length > 1 && body.clientWidth > 720 ? 2 : 1);
  const axes = curveAxes(panels);
  const charts = titles.map((title) => {
    const svg = curvePanel(title, panels.get(title), axes, looks.visible, names, width, tell);
    return make(
      "div",
      { class: "plot" },
      svg,
      saveButton(svg, `${isError() ? "error" : currentMeasure()} ${title}`),
    );
  });
  replace(
    body,
    curveLegend(ranked, looks, names, toggle),
    make(
      "figure",
      null,
      make("div", { class: titles.length > 1 ? "panels" : "wide" }, charts),
      words,
      morePanels(body, panels),
      make("figcaption", { class: "caption" }, curveCaption(ranked, looks)),
    ),
  );
}

function morePanels(body, panels) {
  if (drawCurves.all || panels.size <= FIRST_PANELS) return null;
  return make(
    "button",
    {
      type: "button",
      click: () => {
        drawCurves.all = true;
        drawCurves(body);
      },
    },
    `Show all ${panels.size} panels`,
  );
}

function curveLegend(ranked, looks, names, toggle) {
  const entry = (key) =>
    make(
      "li",
      null,
      make(
        "button",
        {
          type: "button",
          "aria-pressed": String(looks.visible.has(key)),
          click: () => toggle(key),
        },
        looks.visible.has(key) && sample(looks.all.get(key)),
        named(names.get(key)),
      ),
    );
  const own = ranked.filter((key) => looks.all.has(key));
  const others = ranked.filter((key) => !looks.all.has(key));
  if (ranked.length < 2)
    return make(
      "ul",
      { class: "legend" },
      own.map((key) => make("li", { class: "entry" }, sample(0), named(names.get(key)))),
    );
  const list = make("ul", { class: "legend", "aria-label": "Lines" }, own.map(entry));
  if (!others.length) return list;
  const rest = make("ul", { class: "legend" });
  return make(
    "div",
    null,
    list,
    make(
      "details",
      {
        toggle: (event) =>
          event.target.open && !rest.children.length && rest.append(...others.map(entry)),
      },
      make("summary", null, `${plural(others.length, "fainter line")}: choose more`),
      rest,
    ),
  );
}

function curveCaption(ranked, looks) {
  const faint = ranked.length - looks.visible.size;
  const seeds = several(taskCells(), "seed")
    ? `; where several seeds were run, of the mean over seeds (t interval)`
    : "";
  return [
    `Means with their ${levelText()} intervals for other ${populationName(currentPopulation())}${seeds}. `,
    faint > 0 && "In colour: the best by mean rank, and the selected; the others faint. ",
    isError() &&
      selectedCell() &&
      speaker(selectedCell()) &&
      `Dashed: the mean error that ${selectedCell().spokesman} predicted for the selected line. `,
    !isError() && "The vertical axis need not begin at 0. ",
    "Points stand slightly aside so that none hides another.",
  ];
}

const curveTitle = () =>
  `${isError() ? measureName("error") : measureName(currentMeasure())} against ${task().axis.name}`;

section("shots", curveTitle, {
  when: ["filter", "view", "cell"],
  needed: () => unique(shownCells().flatMap((cell) => placesOf(cell).map(([x]) => x))).length > 1,
  draw: drawCurves,
});
