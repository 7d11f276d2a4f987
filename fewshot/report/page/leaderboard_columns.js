// Columns of the leaderboard, those only that tell rows apart.
function textColumn(key, fill) {
  return {
    key,
    title: NAMES[key],
    left: true,
    value: (cell) => cell[key],
    fill: fill ?? ((cell) => make("td", { class: "left" }, named(cell[key] ?? MISSING))),
    export: [[key, (cell) => cell[key]]],
  };
}

function countColumn(key) {
  return {
    key,
    title: NAMES[key],
    value: (cell) => cell[key],
    fill: (cell) => cellOf(known(cell[key]) ? cell[key] : (cell[key] ?? MISSING)),
    export: [[key, (cell) => cell[key]]],
  };
}

const tags = (cell) =>
  cell.uses
    .filter((use) => TAGS[use])
    .map((use) => make("span", { class: "tag", title: TAGS[use][1] }, TAGS[use][0]));

function headColumn() {
  const column = textColumn("head", (cell) =>
    make("th", { scope: "row", class: "left" }, named(cell.head), tags(cell)),
  );
  column.export.push(["uses", (cell) => cell.uses.join(" ")]);
  column.title = capital(task().head);
  return column;
}

// A measure with its interval; the reason where the population has none.
function measureColumn(name, at, main) {
  const of = (cell) => measureOf(cell, name, at);
  const half = (cell) => halfOf(boundsOf(of(cell), currentPopulation()));
  // Measures that never have an interval, as a coverage, are not said to have one.
  const bounded = taskCells().some((cell) => POPULATIONS.some((one) => boundsOf(of(cell), one)));
  return {
    key: `measure:${name}`,
    title: measureName(name),
    unit: [isShare(name) && "%", bounded && `± ${populationName(currentPopulation())}`]
      .filter(Boolean)
      .join(" "),
    better: lowerIsBetter(name) ? "lower" : "higher",
    value: (cell) => of(cell)?.mean ?? null,
    fill: (cell) =>
      make(
        "td",
        {
          class: main && "main",
          title: half(cell) === null ? of(cell)?.reasons?.[currentPopulation()] : null,
        },
        withInterval(of(cell)?.mean ?? null, half(cell), name),
      ),
    export: [
      [name, (cell) => of(cell)?.mean],
      ...POPULATIONS.flatMap((population) =>
        ["lower", "upper"].map((end, i) => [
          `${name}_${population}_${end}`,
          (cell) => boundsOf(of(cell), population)?.[i],
        ]),
      ),
    ],
  };
}

// The interval as a picture, on a scale that all shown rows share.
function rangeColumn(name, at) {
  const of = (cell) => measureOf(cell, name, at);
  const bounds = (cell) =>
    boundsOf(of(cell), currentPopulation()) ?? [of(cell)?.mean, of(cell)?.mean];
  const ends = shownCells()
    .flatMap(bounds)
    .filter(known)
    .sort((a, b) => a - b);
  const [low, high] = [ends[0], ends.at(-1)];
  const put100 = (value) =>
    `${(4 + 92 * (high > low ? (value - low) / (high - low) : 0.5)).toFixed(1)}%`;
  return {
    key: "range",
    title: hiddenWord("Interval as a picture"),
    fill: (cell) => {
      if (!known(of(cell)?.mean)) return make("td");
      const mark = make("i");
      const [from, to] = bounds(cell);
      for (const [end, value] of [
        ["--from", from],
        ["--at", of(cell).mean],
        ["--to", to],
      ])
        mark.style.setProperty(end, put100(value));
      return make("td", { class: "range", "aria-hidden": "true" }, mark);
    },
    export: [],
  };
}

function estimatorColumns() {
  const own = (name) => (cell) => speaker(cell)?.[name] ?? null;
  const column = (key, title, unit, better, text) => ({
    key,
    title,
    unit,
    better,
    value: own(key),
    fill: (cell) => make("td", null, text(cell)),
    export: [[key, own(key)]],
  });
  // One who speaks for all cells is named in the head, several are named in their rows.
  const speakers = unique(
    taskCells()
      .map((cell) => speaker(cell) && shownName(speaker(cell)))
      .filter(Boolean),
  );
  const by = speakers.length === 1 ? ` by ${speakers[0]}` : "";
  return [
    {
      ...column("predicted", "Predicted", `error, %${by}`, "lower", (cell) => [
        spoken(percent(own("predicted")(cell))),
        !by && speaker(cell) && make("span", { class: "pm" }, " ", named(shownName(speaker(cell)))),
      ]),
      export: [
        ["estimator", (cell) => cell.spokesman],
        ["sees_unlabelled", (cell) => speaker(cell)?.sees_unlabelled],
        ["predicted_error", own("predicted")],
      ],
    },
    column("mae", "MAE", "points", "lower", (cell) =>
      withInterval(own("mae")(cell), halfOf(speaker(cell)?.mae_interval)),
    ),
    column("coverage", "Coverage", "%, of nominal", "higher", (cell) => [
      spoken(percent(own("coverage")(cell))),
      known(own("coverage")(cell)) &&
        known(own("level")(cell)) &&
        make("span", { class: "pm" }, ` of ${percent(own("level")(cell), 0)}`),
    ]),
  ];
}

// Numbers that are no measures, those that any row has.
function numberColumns() {
  const of = (cell, key) => cell.numbers?.[key] ?? null;
  return (task().numbers ?? [])
    .filter(({ key }) => taskCells().some((cell) => known(of(cell, key))))
    .map(({ key, title, unit, digits, better, divisor }) => ({
      key: `number:${key}`,
      title,
      unit,
      better,
      value: (cell) => of(cell, key),
      fill: (cell) =>
        cellOf(known(of(cell, key)) ? grouped1000(of(cell, key) / divisor, digits) : MISSING),
      export: [[key, (cell) => of(cell, key)]],
    }));
}

const grouped1000 = (value, digits) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

function timeColumn() {
  const time = (cell) => cell.cost?.seconds ?? null;
  return {
    key: "time",
    title: "Time",
    unit: task().timed_together ? `s, ${task().timed_together}` : "s",
    better: "lower",
    value: time,
    fill: (cell) => cellOf(seconds(time(cell))),
    export: [["seconds", time]],
  };
}

// On a phone what matters is seen without scrolling: the head, what tells rows apart below it, the
// measure and its prediction. The rest follows to the right.
const NARROW = 560;

function phoneHead(keys) {
  const column = headColumn();
  const counted = { ways: "way", shots: "shot" };
  const word = (cell, key) =>
    key in counted ? `${cell[key]}-${counted[key]}` : named(cell[key] ?? MISSING);
  const words = (cell) => keys.map((key, i) => [i ? ", " : "", word(cell, key)]);
  return {
    ...column,
    fill: (cell) =>
      make("th", { scope: "row", class: "left name" }, named(cell.head), tags(cell), make("small", { class: "soft" }, words(cell))),
  };
}

function leaderboardColumns(narrow = false) {
  const cells = taskCells();
  const [name, at] = [currentMeasure(), currentAt()];
  const others = measureNames().filter((one) => one !== name);
  const optional = (key) => (several(cells, key) ? [key] : []);
  const texts = ["dataset", "backbone"];
  const keys = [...["feature"].flatMap(optional)];
  const own = Object.keys(task().keys).flatMap(optional);
  const counts = [...task().settings, ...optional("seed")];
  const measure = measureColumn(name, at, true);
  const estimated = cells.some((cell) => cell.estimators.length) ? estimatorColumns() : [];
  const rest = [...others.map((one) => measureColumn(one, at, false))];
  if (narrow) {
    const apart = [...[...texts, ...task().settings].flatMap(optional), ...keys, ...own, ...optional("seed")];
    return [
      phoneHead(apart),
      measure,
      ...estimated,
      ...rest,
      ...numberColumns(),
      timeColumn(),
      ...[...texts, ...keys, ...own].map((key) => textColumn(key)),
      ...counts.map(countColumn),
    ];
  }
  return [
    ...[...texts, ...keys].map((key) => textColumn(key)),
    headColumn(),
    ...own.map((key) => textColumn(key)),
    ...counts.map(countColumn),
    measure,
    rangeColumn(name, at),
    ...rest,
    ...estimated,
    ...numberColumns(),
    timeColumn(),
  ];
}
