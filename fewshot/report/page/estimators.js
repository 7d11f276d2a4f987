// Every estimator of the selected cell, all measures, and who is nearer than whom.
const ESTIMATOR_COLUMNS = [
  ["Error", "%", (one) => spoken(percent(one.predicted))],
  ["MAE", "points", (one) => withInterval(one.mae, halfOf(one.mae_interval))],
  ["RMSE", "points", (one) => spoken(percent(one.rmse))],
  ["Bias", "points", (one) => spoken(percent(one.bias, 1, true))],
  ["Spearman", "order", (one) => withBounds(one.spearman, one.spearman_interval)],
  ["Slope", "1 is right", (one) => spoken(decimal(one.slope))],
  ["Relative", "%", (one) => spoken(percent(one.relative_error))],
  ["Skill", "to constant", (one) => spoken(decimal(one.skill))],
  [
    "Coverage",
    "%, of nominal",
    (one) => [
      spoken(percent(one.coverage)),
      known(one.coverage) &&
        known(one.level) &&
        make("span", { class: "pm" }, ` of ${percent(one.level, 0)}`),
    ],
  ],
  ["Width", "points", (one) => spoken(percent(one.width))],
  [
    "Time",
    "ms per episode",
    (one) =>
      spoken(known(one.seconds_per_episode) ? seconds(1000 * one.seconds_per_episode) : MISSING),
  ],
];

// 1 is the right order of the episodes; an interval with 0 in it shows none.
function withBounds(value, bounds) {
  if (!known(value) || !bounds) return spoken(decimal(value));
  return [
    decimal(value),
    make("span", { class: "pm" }, ` (${decimal(bounds[0])} to ${decimal(bounds[1])})`),
  ];
}

// The nearest of those that saw unlabelled images, and of those that saw none. A MAE over fewer
// episodes is a MAE over other, perhaps easier, episodes.
function nearestOf(cell) {
  const made = cell.estimators.filter((one) => known(one.mae) && !one.sees_queries);
  const most = Math.max(0, ...made.map((one) => one.defined));
  const rivals = [...grouped(made.filter((one) => one.defined === most), sawOf).values()];
  return rivals
    .filter((group) => group.length > 1)
    .map((group) => group.reduce((best, one) => (one.mae < best.mae ? one : best)));
}

function estimatorHead(cell, one) {
  const notes = [
    one.sees_queries && "sees the queries",
    one.sees_unlabelled && "sees unlabelled images",
    one.defined > 0 &&
      one.defined < cell.episodes &&
      `${whole(one.defined)} of ${whole(cell.episodes)} episodes`,
    one.fallbacks > 0 &&
      `reservation in ${whole(one.fallbacks)} of ${whole(cell.episodes)} episodes`,
  ].filter(Boolean);
  return make(
    "th",
    { scope: "row", class: "left" },
    named(shownName(one)),
    one.calibration &&
      one.calibration !== "none" &&
      make("span", { class: "pm" }, ` (${one.calibration})`),
    notes.map((note) => make("small", { class: "soft" }, note)),
  );
}

function estimatorRow(cell, one, best) {
  const head = estimatorHead(cell, one);
  if (!one.defined) {
    return make(
      "tr",
      null,
      head,
      make(
        "td",
        { class: "reason", colspan: ESTIMATOR_COLUMNS.length },
        spoken(MISSING),
        ` no prediction: ${one.reason ?? "no reason was given"}`,
      ),
    );
  }
  const star = best.includes(one) ? ["*", hiddenWord(" lowest")] : null;
  return make(
    "tr",
    { class: best.includes(one) && "best" },
    head,
    ESTIMATOR_COLUMNS.map(([title, , fill]) =>
      make("td", null, fill(one), title === "MAE" && star),
    ),
  );
}

// A row that says what the estimators below it saw.
function groupRow(cell, one) {
  const names = estimatorsOf(cell).map((each) => each.name);
  const title = groupTitle(cell, names, one.name);
  return title && make(
    "tr",
    { class: "group" },
    make("th", { scope: "rowgroup", class: "left", colspan: 1 }, title),
    make("td", { colspan: ESTIMATOR_COLUMNS.length }),
  );
}

// How many episodes have which reservation, the most frequent first.
function reservationWords(cell, one) {
  const all = one.reservations ?? [[one.fallback_reason ?? "no reason was given", one.fallbacks]];
  return all.map(([reason, count], i) => [
    i ? "; " : "With a reservation: ",
    named(reason),
    ` (${whole(count)} of ${plural(cell.episodes, "episode")})`,
  ]);
}

// Nearness is one thing, telling harder episodes from easier ones another.
function orderOf(cell) {
  const one = speaker(cell);
  return one?.order ? make("p", null, named(one.name), `: ${one.order}`) : null;
}

function drawEstimators(body) {
  const cell = selectedCell();
  const best = nearestOf(cell);
  const main = cell.measures[0];
  const measured = `Measured: ${percent(known(main?.mean) ? 1 - main.mean : null)} % error. `;
  const reserved = cell.estimators.filter((one) => one.fallbacks > 0 || one.reservations?.length);
  replace(
    body,
    make(
      "p",
      null,
      measured,
      "Each row is one estimator's mean prediction and how near it came, episode by episode.",
    ),
    orderOf(cell),
    scrolling(
      "Estimators of the selected cell",
      make(
        "table",
        { class: "stuck" },
        make(
          "thead",
          null,
          make(
            "tr",
            null,
            make("th", { scope: "col", class: "left" }, "Estimator"),
            ESTIMATOR_COLUMNS.map(([title, unit]) =>
              make("th", { scope: "col" }, title, make("small", null, unit)),
            ),
          ),
        ),
        make(
          "tbody",
          null,
          estimatorsOf(cell).map((one) => [groupRow(cell, one), estimatorRow(cell, one, best)]),
        ),
      ),
    ),
    reserved.length
      ? make(
          "dl",
          { "aria-label": "Reservations" },
          reserved.map((one) => [
            make("dt", null, named(shownName(one))),
            make(
              "dd",
              null,
              reservationWords(cell, one),
            ),
          ]),
        )
      : null,
    comparisonTable(
      cell,
      estimatorsOf(cell).map((one) => one.name),
      cell.comparisons,
      {
        ...OF_ESTIMATORS,
        shown: (name) => (estimatorOf(cell, name) ? shownName(estimatorOf(cell, name)) : name),
        more: cell.estimators.some((one) => one.sees_unlabelled)
          ? " ‡ saw unlabelled images as well: against one without the mark it knew more."
          : "",
      },
    ),
  );
}

section("estimators", "Estimators", {
  when: ["filter", "cell"],
  needed: () => (selectedCell()?.estimators.length ?? 0) > 0,
  draw: drawEstimators,
  about: () => fullPlace(selectedCell()),
});
